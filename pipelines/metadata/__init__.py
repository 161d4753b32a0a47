"""ML Metadata: connecting, patience with a database that is away, and upkeep. Below every runner."""
