"""The bank in a browser."""
