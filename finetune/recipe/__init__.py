"""What to do: the recipe, its schema, and reading it."""
