"""Job files: many pictures described in one file."""
