"""Figures: every function draws on the axes it is given."""
