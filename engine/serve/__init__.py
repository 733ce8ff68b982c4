"""Bundles behind HTTP: an engine process for each, and the dialects clients speak."""
