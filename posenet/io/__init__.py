"""Files and images on disk."""
