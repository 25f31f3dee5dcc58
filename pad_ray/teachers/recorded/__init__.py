"""Completions that were recorded before, read from files."""
