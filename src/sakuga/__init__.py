"""Sakuga."""
