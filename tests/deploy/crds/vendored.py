"""The operators' CRDs that lie here, and what they say of a manifest; the README says where they come from."""

from __future__ import annotations

import functools
import gzip
import json
import pathlib
from typing import Any

import jsonschema

Schema = dict[str, Any]


@functools.cache
def vendored() -> tuple[dict[str, Any], ...]:
    """Every CustomResourceDefinition of this folder."""
    paths = sorted(pathlib.Path(__file__).parent.glob("*.json.gz"))
    return tuple(json.loads(gzip.decompress(path.read_bytes())) for path in paths)


@functools.cache
def schemas() -> dict[tuple[str, str], Schema]:
    """By apiVersion and kind; what a schema does not name it refuses."""
    found = {
        (f"{crd['spec']['group']}/{version['name']}", crd["spec"]["names"]["kind"]): closed(
            version["schema"]["openAPIV3Schema"]
        )
        for crd in vendored()
        for version in crd["spec"]["versions"]
    }
    for schema in found.values():
        schema["properties"]["metadata"] = {"type": "object"}  # Kubernetes' own, for every kind
    return found


def closed(schema: Any) -> Any:
    """The schema, refusing fields that it does not name: the API server drops them with a warning."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: closed(one) for name, one in schema.items()}
    keeps = schema.get("x-kubernetes-preserve-unknown-fields")
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object" and not keeps:
        made.setdefault("additionalProperties", False)
    return made


def problems(manifest: dict[str, Any]) -> list[str]:
    """What the schema of its kind refuses in a manifest, a line each.

    Rules between fields (CEL) and admission webhooks are not asked.
    """
    schema = schemas()[manifest["apiVersion"], manifest["kind"]]
    where = f"{manifest['kind']}/{manifest['metadata'].get('name', '')}"
    return [
        f"{where}: {'.'.join(map(str, error.absolute_path))}: {error.message[:300]}"
        for error in jsonschema.Draft202012Validator(schema).iter_errors(manifest)
    ]
