"""Numbered database migrations; never import application code."""
