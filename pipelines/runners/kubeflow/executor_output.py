"""KFP's contract with a container, without KFP's SDK: the executor's input comes as JSON, its output is a file of JSON.

What KFP's launchers do with the output, and so what is written here (up to 2.15 and after it they differ):
- it is parsed strictly; a null in the metadata ends the task, and so does NaN;
- a value of a Metrics artifact that is not a number ends the task (from the launcher that registers with KFP's API on);
- an artifact's `uri`, where it has a scheme that KFP knows (s3, gs, minio), must lie below the run's own root in KFP's store,
  or the task ends: what lies elsewhere is named in the metadata instead, as `location`;
- a file must lie at the path of every artifact that is not a metric (the newer launcher uploads without looking).
"""

from __future__ import annotations

import json
import math
import pathlib
from collections.abc import Mapping
from typing import Any

from components.outputs import Shown
from spec.nodes import ArtifactType

# KFP's launcher mounts its stores here, and uploads what a container leaves there.
_MOUNTS = {"s3://": "/s3/", "gs://": "/gcs/", "minio://": "/minio/"}
_IN_METADATA_ALONE = frozenset({ArtifactType.METRICS, ArtifactType.CLASSIFICATION})


def write(executor_input: str, shown: Mapping[str, Shown]) -> None:
    """Writes the executor's output and each artifact's file.

    Args:
        executor_input: JSON, what KFP puts in place of `{{$}}`.
        shown: by the output's name. An output that is declared and not in here says that there is nothing.
    """
    outputs = json.loads(executor_input)["outputs"]
    written = {}
    for name, listed in outputs.get("artifacts", {}).items():
        declared = listed["artifacts"][0]
        written[name] = {"artifacts": [_artifact(declared, shown.get(name, Shown()))]}
    path = pathlib.Path(outputs["outputFile"])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"artifacts": written}, allow_nan=False), encoding="utf-8")


def _artifact(declared: Mapping[str, Any], shown: Shown) -> dict[str, Any]:
    title = declared.get("type", {}).get("schemaTitle", "")
    metadata = _without_nothing(dict(shown.metadata))
    if title == ArtifactType.METRICS:
        metadata = {key: value for key, value in metadata.items() if isinstance(value, int | float)}
    if title not in _IN_METADATA_ALONE:
        path = local_path(declared["uri"])
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = "".join(f"{key}: {value}\n" for key, value in metadata.items())
        path.write_text(shown.page or lines or "There is nothing to show.\n", encoding="utf-8")
    return {"name": declared.get("name", ""), "uri": declared["uri"], "metadata": metadata}


def local_path(uri: str) -> pathlib.Path:
    """Where KFP's launcher reads an output's content.

    Example:
        >>> str(local_path("minio://mlpipeline/v2/artifacts/taxi/run/report"))
        '/minio/mlpipeline/v2/artifacts/taxi/run/report'
    """
    for scheme, mount in _MOUNTS.items():
        if uri.startswith(scheme):
            return pathlib.Path(mount + uri.removeprefix(scheme))
    return pathlib.Path(uri)  # kfp.local gives paths


def _without_nothing(value: Any) -> Any:
    """JSON that KFP accepts: without null and infinite values, and with 0 or 1 for booleans, which Metrics would refuse."""
    if isinstance(value, Mapping):
        return {str(key): _without_nothing(inner) for key, inner in value.items() if not _is_nothing(inner)}
    if isinstance(value, list | tuple):
        return [_without_nothing(inner) for inner in value if not _is_nothing(inner)]
    return int(value) if isinstance(value, bool) else value


def _is_nothing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and not math.isfinite(value))
