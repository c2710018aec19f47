"""Poses, cameras, crops and warps: plain numpy, scipy and OpenCV."""
