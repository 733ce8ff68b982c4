"""Pixels to files: PNG, its metadata, contact sheets."""
