"""Integrity: what a student lost of its teacher's range."""
