"""A server that localizes images with a run: a page for people and an endpoint for programs."""
