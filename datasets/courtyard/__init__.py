"""The built-in synthetic scene."""
