"""The CUDA device: lanes, networks and the VAE on streams of one GPU."""
