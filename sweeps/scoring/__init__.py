"""Scores that no trial has alone."""
