"""What is sent to the model server by mistake or on purpose, searched for with Hypothesis (docs/guides/serving.md, Errors)."""
