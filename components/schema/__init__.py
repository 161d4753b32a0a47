"""SchemaImporter: the reviewed contract of schemas/<workload>/ as an artifact."""

from components.schema._schema import classes_of, feature_of, read_schema
from components.schema.component import SchemaImporter

__all__ = ["SchemaImporter", "classes_of", "feature_of", "read_schema"]
