"""The roof: every command. Nothing below imports it."""
