"""HTTP, whatever is spoken over it."""
