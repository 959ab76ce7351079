"""What happens between a message and its reply; knows no platform, no library and no database."""
