"""Hostile programs as data: what the sandbox must stop, for the doctor and for the tests."""
