"""Streams: videos, cameras and network streams, followed image by image and drawn as a video."""
