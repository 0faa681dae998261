"""Images and their factors: drawn or read once, kept bit-packed on disk, served as batches."""
