"""W&B for many runs."""
