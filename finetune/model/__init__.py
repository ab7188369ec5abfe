"""What is adapted: backbone, pretrained weights, stages, head."""
