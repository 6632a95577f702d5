"""Kinship: who is related to whom, from what their answers share beyond what everybody says."""
