"""Executors see local folders, wherever the artifacts lie.

MLMD records an artifact's own URI (s3://...). These operators take the place of TFX's, fetch the inputs, run the executor on
local copies, upload the outputs, and hand the launcher the executor's answer with the original URIs.
"""

from __future__ import annotations

import copy
import hashlib
import os
import pathlib
import shutil
import tempfile
import time
from typing import Any

import attr
import psutil
from tfx.orchestration.portable import (
    base_executor_operator,
    beam_executor_operator,
    data_types,
    python_executor_operator,
)
from tfx.proto.orchestration import executable_spec_pb2, execution_result_pb2
from tfx.types import artifact as tfx_artifact
from tfx.types import value_artifact

import storage
from components.staged import CANONICAL_URI
from spec import environment as env

# Folder of the copies: the pods' /tmp is a volume of limited size (site.scratch_size).
_EVIDENCE = "_gates"


class Stage:
    """The local copies of one execution."""

    def __init__(self, info: data_types.ExecutionInfo, folder: pathlib.Path) -> None:
        self._info, self._folder = info, folder
        self._root = str(info.exec_properties.get("pipeline_root", ""))

    def local(self, uri: str) -> str:
        """Path of the local copy of a URI. It reads like the URI, because it appears in messages."""
        scheme, _, rest = uri.partition("://")
        return str(self._folder / scheme / rest) if storage.is_remote(uri) else uri

    def canonical(self, text: str) -> str:
        """A text in which the paths of local copies are replaced by the URIs that they are copies of."""
        start = f"{self._folder}{os.sep}"
        while (at := text.find(start)) >= 0:
            scheme, _, rest = text[at + len(start) :].partition(os.sep)
            text = f"{text[:at]}{scheme}://{rest}"
        return text

    def fetch_inputs(self) -> int:
        """Downloads the inputs; returns how many were remote."""
        uris = {_folder_of(one): one for artifacts in self._info.input_dict.values() for one in artifacts}
        remote = {uri: one for uri, one in uris.items() if storage.is_remote(uri)}
        for uri, one in remote.items():
            # What no node of ours wrote has no marker: an Importer names data that lies where it always lay.
            fetch = storage.download_unmarked if one.is_external else storage.download
            fetch(uri, pathlib.Path(self.local(uri)))
        return len(remote)

    def local_info(self) -> data_types.ExecutionInfo:
        """The execution info with every remote URI replaced by the path of its copy."""
        properties = dict(self._info.exec_properties)
        if storage.is_remote(self._root):
            properties["pipeline_root"] = self.local(self._root)
        changed: dict[str, Any] = {
            "input_dict": self._with_origin(self._localised(self._info.input_dict)),
            "output_dict": self._localised(self._info.output_dict),
            "exec_properties": properties,
        }
        for name in ("execution_output_uri", "stateful_working_dir", "tmp_dir"):
            changed[name] = self.local(getattr(self._info, name) or "")
        info = attr.evolve(self._info, **changed)
        for folder in (info.tmp_dir, info.stateful_working_dir, os.path.dirname(info.execution_output_uri)):  # noqa: PTH120
            if folder:
                pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
        for artifacts in info.output_dict.values():
            for one in artifacts:
                pathlib.Path(_folder_of(one)).mkdir(parents=True, exist_ok=True)
        return info

    def publish(self, output: execution_result_pb2.ExecutorOutput) -> execution_result_pb2.ExecutorOutput:
        """Uploads the outputs; returns the executor's answer with the original URIs."""
        for artifacts in self._info.output_dict.values():
            for one in artifacts:
                if storage.is_remote(uri := _folder_of(one)):
                    storage.upload(pathlib.Path(self.local(uri)), uri)
        for listed in output.output_artifacts.values():
            for artifact in listed.artifacts:
                artifact.uri = self.canonical(artifact.uri)
                for properties in (artifact.properties, artifact.custom_properties):
                    self._mend(properties)
        self._mend(output.execution_properties)
        return output

    def keep_evidence(self) -> None:
        """Uploads the evidence that a gate left beside the artifacts, whether or not it stopped the run."""
        if not storage.is_remote(self._root):
            return
        local = pathlib.Path(self.local(self._root)) / _EVIDENCE
        for folder in sorted({path.parent for path in local.rglob("gate.json")}):
            storage.upload(folder, f"{self._root}/{_EVIDENCE}/{folder.relative_to(local).as_posix()}")

    def _localised(self, artifacts: Any) -> dict[str, list[tfx_artifact.Artifact]]:
        copied = {key: copy.deepcopy(list(listed)) for key, listed in artifacts.items()}
        for listed in copied.values():
            for one in listed:
                one.uri = self.local(one.uri)
        return copied

    def _with_origin(self, copies: dict[str, list[tfx_artifact.Artifact]]) -> dict[str, list[tfx_artifact.Artifact]]:
        for one in (artifact for listed in copies.values() for artifact in listed):
            if (origin := self.canonical(one.uri)) != one.uri:
                one.set_string_custom_property(CANONICAL_URI, origin)
        return copies

    def _mend(self, properties: Any) -> None:
        for value in properties.values():
            if value.HasField("string_value"):
                value.string_value = self.canonical(value.string_value)


class _Staged(base_executor_operator.BaseExecutorOperator):
    """Wraps an operator's `run_executor` with staging."""

    def run_executor(self, execution_info: data_types.ExecutionInfo) -> execution_result_pb2.ExecutorOutput:
        folder = _empty_folder(execution_info)
        stage = Stage(execution_info, folder)
        try:
            started = time.monotonic()
            count = stage.fetch_inputs()
            info = stage.local_info()
            say(f"{count} input artifacts fetched in {time.monotonic() - started:.1f} s; the executor starts")
            try:
                output = super().run_executor(info)
            except Exception as error:
                error.args = tuple(stage.canonical(one) if isinstance(one, str) else one for one in error.args)
                raise
            finally:
                stage.keep_evidence()
            started = time.monotonic()
            published = stage.publish(output)
            say(f"outputs uploaded in {time.monotonic() - started:.1f} s")
            return published
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _empty_folder(info: data_types.ExecutionInfo) -> pathlib.Path:
    """The execution's own scratch folder, the same at every attempt: TFT writes its path into the graph."""
    root = info.execution_output_uri.partition("/.system/")[0]
    folder = scratch() / f"stage-{hashlib.sha256(root.encode()).hexdigest()[:8]}-{info.execution_id}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def scratch() -> pathlib.Path:
    """Folder for files that end with this pod."""
    return pathlib.Path(os.environ.get(env.SCRATCH) or tempfile.gettempdir()).resolve()


class StagedPythonOperator(_Staged, python_executor_operator.PythonExecutorOperator):
    """TFX's operator for Python executors, with staging."""


class StagedBeamOperator(_Staged, beam_executor_operator.BeamExecutorOperator):
    """TFX's operator for Beam executors, with staging."""


OPERATORS = {
    executable_spec_pb2.PythonClassExecutableSpec: StagedPythonOperator,
    executable_spec_pb2.BeamExecutableSpec: StagedBeamOperator,
}


def say(message: str) -> None:
    """A line of progress with the process's age, for the pod's log."""
    print(f"[{time.time() - psutil.Process().create_time():6.1f} s] {message}", flush=True)


def _folder_of(artifact: tfx_artifact.Artifact) -> str:
    """The folder that is staged: a value artifact is a file in the folder of its execution."""
    uri = str(artifact.uri)
    return uri.rpartition("/")[0] if isinstance(artifact, value_artifact.ValueArtifact) else uri
