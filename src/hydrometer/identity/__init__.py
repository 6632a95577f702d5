"""Identity Consistency Evaluation (ICE)."""
