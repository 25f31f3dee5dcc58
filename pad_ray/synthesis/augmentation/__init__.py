"""New problems from verified ones: other numbers, other names, other words."""
