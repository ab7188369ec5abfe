"""What is wrong with the data, and what to do about it."""
