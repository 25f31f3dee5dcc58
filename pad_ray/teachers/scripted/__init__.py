"""Generated problems' own programs, retold and broken: a simulated teacher for offline use."""
