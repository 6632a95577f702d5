"""Models: one protocol, one file per provider."""
