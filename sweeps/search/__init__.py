"""What to try next: the space, samplers, pruning."""
