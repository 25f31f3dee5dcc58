"""How strongly students of each format narrow what they write."""
