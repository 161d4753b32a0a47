"""One self-contained HTML page per run (what came in, what was checked, trained and decided, and why), and a model card."""
