"""Structure from motion: photographs or videos become a scene with poses."""
