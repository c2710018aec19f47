"""Scene adapters, one file a format."""
