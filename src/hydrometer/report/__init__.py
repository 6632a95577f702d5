"""Findings as pages, tables and files."""
