"""Scenes: a folder becomes a `Scene` with checked world_from_camera poses."""
