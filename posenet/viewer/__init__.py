"""The 3-D page: cameras, points and images in one HTML file that needs no server."""
