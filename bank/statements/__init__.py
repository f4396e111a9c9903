"""What a customer receives: a period's lines, from an opening to a closing balance."""
