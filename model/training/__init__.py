"""Training and evaluation: the loop, checkpoints, run folders, devices, and what a step costs."""
