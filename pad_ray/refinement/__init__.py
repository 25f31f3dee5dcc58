"""Teaching a student to repair its own programs: broken programs and what to make of them."""
