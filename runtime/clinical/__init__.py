"""What clinical texts claim, in comparable form, and whether two questions ask the same."""
