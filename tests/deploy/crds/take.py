"""Makes the files of this folder again: `python -m tests.deploy.crds.take CHECKOUTS`.

CHECKOUTS holds a git clone of each repository of SOURCES, by its name. Schemas are taken whole; only the descriptions go, which are
nine tenths of the text and mean nothing to an API server.
"""

from __future__ import annotations

import gzip
import json
import pathlib
import subprocess
import sys
from typing import Any

import yaml

FOLDER = pathlib.Path(__file__).parent
SOURCES = {
    ("trainer", "v2.3.0", "manifests/base/crds/trainer.kubeflow.org_"): ("trainingruntimes", "trainjobs"),
    ("jobset", "v0.12.0", "config/components/crd/bases/jobset.x-k8s.io_"): ("jobsets",),
    ("kserve", "v0.20.0", "config/crd/full/serving.kserve.io_"): ("inferenceservices",),
    ("gateway-api", "v1.6.1", "config/crd/standard/gateway.networking.k8s.io_"): (
        "gatewayclasses",
        "gateways",
        "grpcroutes",
        "httproutes",
    ),
    ("gateway", "v1.9.0", "charts/gateway-helm/charts/crds/crds/generated/gateway.envoyproxy.io_"): (
        "backendtrafficpolicies",
        "clienttrafficpolicies",
        "envoyproxies",
        "httproutefilters",
        "securitypolicies",
    ),
    ("external-secrets", "v2.9.0", "config/crds/bases/external-secrets.io_"): ("externalsecrets", "secretstores"),
    ("karpenter", "v1.14.1", "pkg/apis/crds/karpenter.sh_"): ("nodepools",),
    ("karpenter-provider-aws", "v1.14.1", "pkg/apis/crds/karpenter.k8s.aws_"): ("ec2nodeclasses",),
}
"""Repository, version and where its CRDs lie -> which of them."""


def without_descriptions(schema: Any, names: bool = False) -> Any:
    """Args:
    names: the keys of `schema` are names of properties, of which one may be `description`.
    """
    if isinstance(schema, list):
        return [without_descriptions(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: without_descriptions(value, key == "properties" and not names)
        for key, value in schema.items()
        if names or key != "description"
    }


def take(checkouts: pathlib.Path) -> None:
    for (repository, version, start), plurals in SOURCES.items():
        for plural in plurals:
            command = ["git", "-C", str(checkouts / repository), "show", f"{version}:{start}{plural}.yaml"]
            text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            crd = without_descriptions(yaml.safe_load(text))
            # Without a time of day, the same source makes the same bytes.
            packed = gzip.compress(json.dumps(crd, separators=(",", ":")).encode(), mtime=0)
            (FOLDER / f"{crd['metadata']['name']}.json.gz").write_bytes(packed)


if __name__ == "__main__":
    take(pathlib.Path(sys.argv[1]))
