"""`python -m hydrometer`."""

from hydrometer.cli import main

main()
