"""Where rows are kept: engines, transactions, and the places where databases differ."""
