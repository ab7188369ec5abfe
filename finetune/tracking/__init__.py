"""Trainings followed elsewhere: TensorBoard, MLflow, Weights & Biases."""
