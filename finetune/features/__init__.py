"""What the frozen part of a network makes of the images."""
