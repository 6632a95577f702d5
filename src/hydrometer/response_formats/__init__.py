"""Recorded answers in the forms in which tools leave them, read into one record."""
