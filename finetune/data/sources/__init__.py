"""The forms that DATA comes in: folders, tables, archives, saved datasets."""
