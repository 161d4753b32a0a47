"""How far data moved: distributions of columns, and measures between them."""

from components.change._distributions import Categories, Distribution, Numbers, categories, from_json, numbers
from components.change._measures import MEASURES, compare

__all__ = ["MEASURES", "Categories", "Distribution", "Numbers", "categories", "compare", "from_json", "numbers"]
