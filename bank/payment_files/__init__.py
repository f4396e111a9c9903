"""Files of payments: read and checked as a whole, kept until somebody confirms them, paid in slices through the door."""
