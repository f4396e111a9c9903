"""A bank to look at: invented people, accounts and a year of movements."""
