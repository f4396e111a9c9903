"""Measures the bank on private databases of its own, each figure beside a reference that ran just before it."""
