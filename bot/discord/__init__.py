"""Frontdesk in Discord; only this package knows discord.py."""
