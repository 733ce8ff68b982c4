"""An upscaler's file to a folder the engine can run, once."""
