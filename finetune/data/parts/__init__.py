"""Dividing images into train, val and test, with their groups."""
