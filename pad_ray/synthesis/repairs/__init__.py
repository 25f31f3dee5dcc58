"""Broken programs with right ones beside them: what a student learns to repair from."""
