"""Tensors from requests and back: what every protocol decodes and encodes with."""
