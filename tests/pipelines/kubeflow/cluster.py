"""A cluster for tests: the yard's workload compiled for an S3 store, and the environment that its pods would get."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import sys
from collections.abc import Mapping
from typing import Any

import fsspec
import yaml

from pipelines.metadata.connecting import connection_config, open_once
from pipelines.runners.kubeflow.cluster.pools import load_pools
from pipelines.runners.kubeflow.cluster.site import load_site
from pipelines.runners.kubeflow.compiler import CompileRequest, compile_workload
from pipelines.runners.kubeflow.grouping import Tasks
from tests.pipelines.kubeflow.kubeflow_double import ROOT, KubeflowDouble

REVISION = "0123456789ab"


@dataclasses.dataclass
class Cluster:
    """Attributes:
    bucket: URL of the bucket with data, artifacts and releases.
    environment: of every pod.
    double: what runs the compiled file.
    """

    bucket: str
    environment: dict[str, str]
    double: KubeflowDouble

    @property
    def store(self) -> Any:
        return fsspec.filesystem("s3", use_listings_cache=False)

    @property
    def metadata(self) -> Any:
        return open_once(connection_config(self.environment))

    def artifacts(self, kind: str) -> list[Any]:
        return list(self.metadata.get_artifacts_by_type(kind))

    def json(self, uri: str) -> Any:
        return json.loads(self.store.cat_file(uri))


def make_cluster(
    yard: Any,
    bucket: str,
    folder: pathlib.Path,
    metadata: Mapping[str, str] | None = None,
    tasks: Tasks = Tasks.EACH,
) -> Cluster:
    """Puts the yard's data into the bucket and compiles its workload."""
    fsspec.filesystem("s3", use_listings_cache=False).put(
        f"{yard.root}/data/tips/", f"{bucket}/data/tips/", recursive=True
    )
    site = {"root": f"{bucket}/pipelines", "data": f"{bucket}/data", "store": f"{bucket}/models"}
    (folder / "kubeflow.yaml").write_text(yaml.safe_dump(site))
    os.environ["TRAINYARD_CODE_REVISION"] = REVISION
    text = compile_workload(CompileRequest("tips", load_site(folder / "kubeflow.yaml"), load_pools(), tasks=tasks))
    (folder / "scratch").mkdir()
    environment = {
        "TRAINYARD_METADATA": f"sqlite://{folder}/metadata.sqlite",
        "TRAINYARD_SCRATCH": str(folder / "scratch"),
        "TRAINYARD_CODE_REVISION": REVISION,
        "PYTHONPATH": os.pathsep.join([str(ROOT), *(p for p in sys.path if p)]),
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "HOME": str(folder),
        # A pod has none of these: what lies there must not be found by accident.
        "TRAINYARD_DATA": "/nowhere",
        "TRAINYARD_STORE": "/nowhere",
        "TRAINYARD_HOME": str(folder / "home"),
        **(metadata or {}),
    }
    return Cluster(bucket, environment, KubeflowDouble(text, environment))
