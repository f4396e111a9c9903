"""The double-entry ledger: one write, `post`; everything that moves money goes through it."""
