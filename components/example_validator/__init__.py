"""ExampleValidator: TFDV anomalies against the schema, as a gate that stops the run."""
