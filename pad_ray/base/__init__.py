"""What every room may import: the exception tree, settings, the rows that flow, paths, pages."""
