"""What customers hold: products, holders, opening, freezing, closing."""
