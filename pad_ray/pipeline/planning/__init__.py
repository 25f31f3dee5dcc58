"""How long a job takes, what it needs and what it costs, reckoned from a short run of it."""
