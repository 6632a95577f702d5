"""hydrometer measures how far one language model was distilled from another."""

__version__ = "0.1.0"
