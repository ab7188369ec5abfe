"""One image file: read, judged and looked at."""
