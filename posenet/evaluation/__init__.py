"""Evaluation: errors, baselines and reports."""
