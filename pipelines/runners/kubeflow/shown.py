"""What a node's artifacts come to in KFP's UI: read from the artifacts themselves, so that a cached node shows the same."""

from __future__ import annotations

import dataclasses
import traceback
from collections.abc import Mapping, Sequence

from ml_metadata.proto import metadata_store_pb2 as mlmd

import storage
from components import outputs
from components.outputs import Outputs, Shown
from pipelines.runners.kubeflow import executor_output
from spec import graph
from spec.nodes import ArtifactType


def show(executor_input: str, node_id: str, artifacts: Mapping[str, Sequence[mlmd.Artifact]], page: str = "") -> None:
    """Tells KFP what a node made. Never fails: the node's work is done and published.

    Args:
        executor_input: JSON, what KFP puts in place of `{{$}}`; empty where the node was not started by KFP.
        page: URL of the run's page of data quality, for the artifacts that are pages themselves.
    """
    if not executor_input:
        return
    try:
        executor_output.write(executor_input, _shown(node_id, artifacts, page))
    except Exception:
        traceback.print_exc()
        print("KFP's UI will not show this node's outputs; they are made and published all the same.", flush=True)


def _shown(node_id: str, artifacts: Mapping[str, Sequence[mlmd.Artifact]], page: str) -> dict[str, Shown]:
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
