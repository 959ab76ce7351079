"""Running models, and changing which one runs."""
