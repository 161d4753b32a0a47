"""The manifests of deploy/gateway/kubernetes, against the schemas of the CRDs that a cluster would have.

These tests run everywhere; tests/cluster applies the same files on an API server.
"""

from __future__ import annotations

import functools
import pathlib
from typing import Any

import jsonschema
import pytest
import yaml

from tests.cluster.crds.vendored import vendored

FOLDER = pathlib.Path(__file__).resolve().parents[3] / "deploy" / "gateway" / "kubernetes"
MANIFESTS = [
    pytest.param(one, id=f"{path.stem}-{one['kind']}-{one['metadata']['name']}")
    for path in sorted(FOLDER.glob("*.yaml"))
    for one in yaml.safe_load_all(path.read_text())
]


@functools.cache
def schemas() -> dict[tuple[str, str], dict[str, Any]]:
    """By apiVersion and kind."""
    return {
        (f"{crd['spec']['group']}/{one['name']}", crd["spec"]["names"]["kind"]): closed(
            one["schema"]["openAPIV3Schema"]
        )
        for crd in vendored()
        for one in crd["spec"]["versions"]
        if crd["spec"]["group"].startswith("gateway.")
    }


def closed(schema: Any) -> Any:
    """The schema, refusing fields that it does not name: the API server drops them with a warning."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: closed(one) for name, one in schema.items()}
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object":
        made.setdefault("additionalProperties", False)
    return made


@pytest.mark.parametrize("manifest", MANIFESTS)
def test_the_api_server_would_take_it(manifest: dict[str, Any]) -> None:
    schema = schemas()[(manifest["apiVersion"], manifest["kind"])]
    schema = {**schema, "properties": {**schema["properties"], "metadata": {}}}
    jsonschema.Draft202012Validator(schema).validate(manifest)


def test_what_a_schema_does_not_name_is_found() -> None:
    manifest = {**MANIFESTS[-1].values[0]}
    schema = schemas()[(manifest["apiVersion"], manifest["kind"])]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema).validate({**manifest, "spec": {**manifest["spec"], "unheard": 1}})
