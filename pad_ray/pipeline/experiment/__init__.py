"""A grid of students: what each is taught, how much of it, and how well it then does."""
