"""What is done to pictures and latents before, between and after the sampler's passes."""
