"""Checkpoints in: safetensors files and diffusers folders to canonical tensors, without torch."""
