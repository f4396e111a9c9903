"""A retail bank that anyone can run."""
