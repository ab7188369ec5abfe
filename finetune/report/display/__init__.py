"""Figures and tables that show themselves in a notebook, made by the code of the pages."""
