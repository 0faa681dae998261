"""Processes at work on a study."""
