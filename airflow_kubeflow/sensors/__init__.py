"""Tasks that wait for runs."""
