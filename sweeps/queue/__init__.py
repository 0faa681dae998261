"""Which trials wait, run, or have ended."""
