"""Verified rows for other trainers, and for the Hugging Face Hub."""
