"""What a node has made, read where it lies: for the summary of a run, and for what Kubeflow's UI shows."""

from __future__ import annotations

import dataclasses
import importlib
import json
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ml_metadata.proto import metadata_store_pb2 as mlmd

from components.artifacts import ROWS_OUT, SECONDS
from components.gates import GateResult
from spec.nodes import ArtifactType, GateRecord, NodeRecord


@dataclasses.dataclass(frozen=True)
class Shown:
    """One artifact, as KFP's UI shows it.

    Attributes:
        metadata: what the UI lists; a null and what is not finite are left out, for Metrics all that is no number too.
        page: the artifact's content, HTML or Markdown; empty: the metadata in lines.
    """

    metadata: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    page: str = ""


class Outputs:
    """The artifacts that a node made or found in the cache.

    Args:
        artifacts: by output; empty where a condition kept the node from running.
        read: the bytes at a URI.
    """

    def __init__(
        self,
        artifacts: Mapping[str, Sequence[mlmd.Artifact]],
        read: Callable[[str], bytes] = lambda uri: pathlib.Path(uri).read_bytes(),
    ) -> None:
        self._artifacts, self._read = artifacts, read

    def uri(self, output: str) -> str:
        return str(self._artifacts[output][0].uri)

    def property(self, output: str, name: str) -> Any:
        """One of an artifact's properties; None where it has none of that name."""
        artifact = self._artifacts[output][0]
        for properties in (artifact.custom_properties, artifact.properties):
            if name in properties and (kind := properties[name].WhichOneof("value")):
                return getattr(properties[name], kind)
        return None

    def text(self, output: str, name: str) -> str:
        return self._read(f"{self.uri(output)}/{name}").decode("utf-8")

    def json(self, output: str, name: str) -> dict[str, Any]:
        read: dict[str, Any] = json.loads(self.text(output, name))
        return read

    def gate(self, output: str) -> GateResult:
        return GateResult.from_json(self.text(output, "gate.json"))

    def located(self, output: str, **more: Any) -> Shown:
        """Where an artifact lies, and how long it took."""
        return Shown({"location": self.uri(output), **more, "seconds": self.property(output, SECONDS)})


def shown(made: Outputs, record: NodeRecord) -> dict[str, Shown]:
    """What Kubeflow's UI shows of a node: as its `shown_by` says, else where each output lies and how many checks passed."""
    if record.shown_by:
        module, _, name = record.shown_by.partition(":")
        maker: Callable[[Outputs], dict[str, Shown]] = getattr(importlib.import_module(module), name)
        return maker(made)
    return {name: _default(made, record, name) for name in record.shows}


def _default(made: Outputs, record: NodeRecord, name: str) -> Shown:
    if isinstance(record, GateRecord) and record.shows[name] == ArtifactType.METRICS:
        return Shown(made.gate(record.result).counts())
    return made.located(name, rows=made.property(name, ROWS_OUT))
