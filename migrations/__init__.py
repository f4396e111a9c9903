"""The schema's history, applied by `bank db upgrade`."""
