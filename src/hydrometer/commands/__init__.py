"""Commands: thin functions between the command line and the work."""
