"""Localization: images become poses with their uncertainty."""
