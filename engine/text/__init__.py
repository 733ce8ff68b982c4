"""Prompts to conditioning: tokens, chunks of 77, hidden states."""
