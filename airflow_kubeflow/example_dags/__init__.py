"""DAGs to begin with; a test runs them."""
