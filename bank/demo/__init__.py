"""A bank to look at: invented people, accounts and a few months of movements."""
