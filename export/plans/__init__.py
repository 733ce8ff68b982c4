"""Bound graphs to TensorRT plans."""
