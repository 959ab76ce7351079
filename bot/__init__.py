"""Where people meet the system: surfaces that translate, wire and render."""
