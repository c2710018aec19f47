"""Training: a configuration becomes a run folder."""
