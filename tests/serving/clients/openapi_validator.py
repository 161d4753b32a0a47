"""Holds /openapi.json against the OpenAPI Initiative's schema, and each example in it against its own schema."""

from __future__ import annotations

import json
import sys
import urllib.request

import jsonschema
from openapi_spec_validator import OpenAPIV31SpecValidator

with urllib.request.urlopen(f"http://127.0.0.1:{sys.argv[1]}/openapi.json") as answer:
    document = json.load(answer)
wrong = [error.message for error in OpenAPIV31SpecValidator(document).iter_errors()]
examples = 0
for item in document["paths"].values():
    content = item.get("post", {}).get("requestBody", {}).get("content", {}).get("application/json", {})
    if "example" in content:
        examples += 1
        found = jsonschema.Draft202012Validator(content["schema"]).iter_errors(content["example"])
        wrong += [error.message for error in found]
print(json.dumps({"version": document["openapi"], "examples": examples, "wrong": wrong}))
