"""From a sampler's name and a number of steps to a table of coefficients, on the host."""
