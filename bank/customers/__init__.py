"""The people the bank serves."""
