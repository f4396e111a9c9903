"""What customers spend on: categories by rules, corrected by hand; months and balances."""
