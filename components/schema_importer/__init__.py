"""SchemaImporter: the reviewed contract of schemas/<workload>/ as an artifact."""
