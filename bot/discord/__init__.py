"""Discord: what it sends becomes values of the core, what the bot says becomes its Markdown."""
