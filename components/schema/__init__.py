"""SchemaImporter: the reviewed contract of schemas/<workload>/ as an artifact."""

from components.schema._schema import MASKED, classes_of, feature_of, is_personal, known_texts, read_schema
from components.schema.component import SchemaImporter

__all__ = ["MASKED", "SchemaImporter", "classes_of", "feature_of", "is_personal", "known_texts", "read_schema"]
