"""The parts of `python bench/gpu.py`: what Sakuga does on a GPU, and what stands beside it."""
