"""Asking a student: decoding strategies over one generation engine, and the solver on top."""
