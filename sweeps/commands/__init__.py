"""What is typed: a module for each command, with its arguments and what it does."""
