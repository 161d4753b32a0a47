"""How far data moved: distributions of columns, measures between them, and a gate that has limits for them."""
