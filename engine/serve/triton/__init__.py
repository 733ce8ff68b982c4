"""NVIDIA Triton's Python backend."""
