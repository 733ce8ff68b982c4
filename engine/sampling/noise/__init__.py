"""Where a picture's noise comes from."""
