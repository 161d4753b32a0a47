"""The manifests of deploy/gateway/kubernetes, against the CRDs that a cluster would have."""

from __future__ import annotations

import functools
import json
import pathlib
import shutil
import subprocess
from typing import Any

import jsonschema
import pytest
import yaml

FOLDER = pathlib.Path(__file__).resolve().parents[3] / "deploy" / "gateway" / "kubernetes"
# Go's modules hold the CRDs; the versions are those that belong together.
STANDARD = ("sigs.k8s.io/gateway-api@v1.6.1", "config/crd/standard")
ENVOY_GATEWAY = ("github.com/envoyproxy/gateway@v1.9.1", "charts/gateway-helm/charts/crds/crds/generated")
MANIFESTS = [
    pytest.param(one, id=f"{path.stem}-{one['kind']}-{one['metadata']['name']}")
    for path in sorted(FOLDER.glob("*.yaml"))
    for one in yaml.safe_load_all(path.read_text())
]


@functools.cache
def schemas() -> dict[tuple[str, str], dict[str, Any]]:
    """By apiVersion and kind; skips the test where Go's module proxy is out of reach."""
    return {key: schema for module, folder in (STANDARD, ENVOY_GATEWAY) for key, schema in crds(module, folder)}


def crds(module: str, folder: str) -> list[tuple[tuple[str, str], dict[str, Any]]]:
    if not shutil.which("go"):
        pytest.skip("needs Go, whose module proxy has the CRDs")
    done = subprocess.run(["go", "mod", "download", "-json", module], capture_output=True, text=True, cwd="/")
    if done.returncode:
        pytest.skip(f"{module} cannot be had: {done.stdout.strip()[-200:]}")
    found = []
    for path in pathlib.Path(json.loads(done.stdout)["Dir"], folder).glob("*.yaml"):
        for crd in yaml.safe_load_all(path.read_text()):
            if crd and crd["kind"] == "CustomResourceDefinition":
                names = crd["spec"]["names"]["kind"], crd["spec"]["group"]
                found += [
                    ((f"{names[1]}/{one['name']}", names[0]), closed(one["schema"]["openAPIV3Schema"]))
                    for one in crd["spec"]["versions"]
                ]
    return found


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
