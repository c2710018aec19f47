"""Makers that the tests share: scenes, images, weight files."""
