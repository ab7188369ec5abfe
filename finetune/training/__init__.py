"""How a network is adapted: phases, freezing, and the course of a training."""
