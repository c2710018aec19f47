"""Training losses: one layer per file, and their names in `registry.LOSSES`."""
