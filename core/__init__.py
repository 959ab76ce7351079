"""Conversations and models, and the ports between them; imports neither `bot` nor `retrieval`."""
