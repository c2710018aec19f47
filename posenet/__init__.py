"""Camera relocalization: train a network on a place, ask it where a photograph was taken."""

__version__ = "0.1.0"
