"""Images and their factors: drawn or read once, kept on disk, mapped, and served as batches."""
