"""The database and the artifact directory."""
