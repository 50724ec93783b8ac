"""What a network's layer is made of: attention and its fused form, relative positions, the state space."""
