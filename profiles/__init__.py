"""What exists: families, sizes, networks and their tensors, presets. Standard library only."""
