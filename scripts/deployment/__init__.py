"""Bring a release to the estate: what `python -m scripts.deploy` does, a verb or a noun to a module."""
