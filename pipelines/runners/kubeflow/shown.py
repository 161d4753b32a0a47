"""What a task's artifacts come to in KFP's UI: read from the artifacts themselves, so that a cached node shows the same."""

from __future__ import annotations

import dataclasses
import traceback
from collections.abc import Mapping, Sequence

from ml_metadata.proto import metadata_store_pb2 as mlmd

import storage
from components import outputs
from components.outputs import Outputs, Shown
from pipelines.runners.kubeflow import executor_output, grouping
from spec import graph
from spec.nodes import ArtifactType

Artifacts = Mapping[str, Sequence[mlmd.Artifact]]
"""A node's outputs, by their keys."""


def show(executor_input: str, made: Mapping[str, Artifacts], page: str = "") -> None:
    """Tells KFP what a task made. Never fails: the work is done and published.

    Args:
        executor_input: JSON, what KFP puts in place of `{{$}}`; empty where the nodes were not started by KFP.
        made: the artifacts of each of its nodes.
        page: URL of the run's page of data quality, for the artifacts that are pages themselves.
    """
    if not executor_input:
        return
    try:
        shown = {
            grouping.output_name([*made], node_id, name): one
            for node_id, artifacts in made.items()
            for name, one in _shown(node_id, artifacts, page).items()
        }
        executor_output.write(executor_input, shown)
    except Exception:
        traceback.print_exc()
        print("KFP's UI will not show this task's outputs; they are made and published all the same.", flush=True)


def _shown(node_id: str, artifacts: Artifacts, page: str) -> dict[str, Shown]:
    record = graph.find(node_id)
    if record is None or not artifacts:
        return {}
    try:
        shown = outputs.shown(Outputs(artifacts, storage.read), record)
    except Exception as error:
        # The files must be there all the same: KFP's launcher fails a task that leaves out what it declares.
        traceback.print_exc()
        print(f"what KFP's UI shows of {node_id} could not be read: {type(error).__name__}: {error}", flush=True)
        return {}
    for name in [one for one in shown if page and record.shows.get(one) == ArtifactType.HTML]:
        shown[name] = dataclasses.replace(shown[name], metadata={**shown[name].metadata, "data_quality_page": page})
    return shown
