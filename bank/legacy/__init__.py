"""The older retail-banking app's database: read, reconciled, brought in."""
