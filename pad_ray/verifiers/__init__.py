"""Step scorers: judges of a program that is still being written."""
