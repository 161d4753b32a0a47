"""The manifests of deploy/gateway/kubernetes, against the schemas of the CRDs that a cluster would have."""

from __future__ import annotations

import pathlib
from typing import Any

import pytest
import yaml

from tests.deploy.crds.vendored import problems

FOLDER = pathlib.Path(__file__).resolve().parents[3] / "deploy" / "gateway" / "kubernetes"
MANIFESTS = [
    pytest.param(one, id=f"{path.stem}-{one['kind']}-{one['metadata']['name']}")
    for path in sorted(FOLDER.glob("*.yaml"))
    for one in yaml.safe_load_all(path.read_text())
]


@pytest.mark.parametrize("manifest", MANIFESTS)
def test_the_schema_of_its_kind_takes_it(manifest: dict[str, Any]) -> None:
    assert problems(manifest) == []


def test_what_a_schema_does_not_name_is_found() -> None:
    manifest = {**MANIFESTS[-1].values[0]}
    (found,) = problems({**manifest, "spec": {**manifest["spec"], "unheard": 1}})
    assert "unheard" in found
