"""ExampleValidator: TFDV anomalies against the schema, as a gate that stops the run."""

from components.example_validator.component import ExampleValidator

__all__ = ["ExampleValidator"]
