"""Data sets that others publish: described, fetched and laid out."""
