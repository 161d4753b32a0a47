"""How far data has moved: distributions of columns, measures between them, and a gate with limits for them."""
