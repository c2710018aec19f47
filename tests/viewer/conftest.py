"""Fixtures with a page of a small courtyard."""

from tests.helpers.views import courtyard, evaluation, view

__all__ = ["courtyard", "evaluation", "view"]
