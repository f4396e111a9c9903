"""Moving money for people: cash at the till, transfers, reversals."""
