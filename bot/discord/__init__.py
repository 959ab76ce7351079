"""Discord: events in, messages out."""
