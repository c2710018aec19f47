"""Packed runs: one zip archive or a repository on the Hugging Face Hub, with a model card."""
