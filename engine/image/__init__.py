"""Pixels to files and back to settings: PNG, JPEG, WebP, their metadata, contact sheets."""
