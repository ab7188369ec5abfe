"""The classifier, outside its training."""
