"""Figures: every function draws on the axes it is given."""

from posenet.environment import import_matplotlib

import_matplotlib()
