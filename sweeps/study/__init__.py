"""A study on disk: records and files only."""
