"""Devices and sessions: where arrays live and how a network runs."""
