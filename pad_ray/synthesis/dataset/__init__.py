"""A synthesis directory: its files, its card and its report."""
