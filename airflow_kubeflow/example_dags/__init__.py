"""DAGs to start from; a test runs them."""
