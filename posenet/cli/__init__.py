"""Commands: the only code that prints."""
