"""What to learn from: listing, checking, dividing, augmenting and loading images."""
