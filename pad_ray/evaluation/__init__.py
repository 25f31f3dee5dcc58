"""What a student is worth: its answers, intervals, comparisons, and its output space."""
