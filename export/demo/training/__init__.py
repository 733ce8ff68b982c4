"""How the demo model is trained: VAE, then text encoders, then UNet, then a LoRA.

Needs the `verify` extra (torch, diffusers, transformers). Nothing a user runs imports it.
"""
