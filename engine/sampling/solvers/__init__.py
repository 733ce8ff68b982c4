"""The samplers, one idea a file: each walks a path and gives its table."""
