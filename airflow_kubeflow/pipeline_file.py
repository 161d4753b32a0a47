"""A compiled pipeline as `kfp` writes it: YAML of schema 2.1.0, with a second document for the platform."""

from __future__ import annotations

import copy
import dataclasses
import json
import pathlib
from collections.abc import Mapping
from typing import Any

import yaml

from airflow_kubeflow.exceptions import KubeflowUserError

Json = dict[str, Any]
_KINDS = {
    "STRING": "a string",
    "NUMBER_INTEGER": "an integer",
    "NUMBER_DOUBLE": "a number",
    "BOOLEAN": "true or false",
    "LIST": "a list",
    "STRUCT": "a dict",
}


@dataclasses.dataclass(frozen=True)
class CompiledPipeline:
    """What KFP is told to run.

    Attributes:
        where: its name in messages.
        pipeline: the first document (`PipelineSpec`).
        platform: the second one (`PlatformSpec`); empty if there is none.
    """

    where: str
    pipeline: Json
    platform: Json = dataclasses.field(default_factory=dict)

    @property
    def name(self) -> str:
        """The pipeline's own name."""
        return str(self.pipeline["pipelineInfo"]["name"])

    def body(self) -> Json:
        """`pipeline_spec` of a run: KFP takes two documents side by side, and a single one as it is."""
        if not self.platform:
            return self.pipeline
        return {"pipeline_spec": self.pipeline, "platform_spec": self.platform}

    def with_caching(self, enabled: bool) -> CompiledPipeline:
        """A copy with KFP's cache switched on or off for every task, including nested graphs."""
        pipeline = copy.deepcopy(self.pipeline)
        for component in (pipeline["root"], *pipeline.get("components", {}).values()):
            for task in component.get("dag", {}).get("tasks", {}).values():
                task["cachingOptions"] = {"enableCache": True} if enabled else {}
        return dataclasses.replace(self, pipeline=pipeline)

    def checked(self, given: Mapping[str, Any]) -> Json:
        """A run's parameters with the types that the pipeline declares.

        Text, which is all that templates produce, is converted where another type is declared: "12" becomes an integer.

        Raises:
            KubeflowUserError: a parameter is unknown, missing, or has the wrong type.
        """
        declared = self.pipeline["root"].get("inputDefinitions", {}).get("parameters", {})
        if unknown := sorted(set(given) - set(declared)):
            known = ", ".join(sorted(declared)) or "none"
            raise KubeflowUserError(f"{self.where} has no parameter {unknown[0]!r}. It has: {known}.")
        for name, definition in declared.items():
            if name not in given and not definition.get("isOptional") and "defaultValue" not in definition:
                raise KubeflowUserError(
                    f"{self.where}: parameter {name!r} has no default. Give it a value in `parameters`."
                )
        return {name: self._typed(name, value, declared[name]) for name, value in given.items()}

    def _typed(self, name: str, value: Any, definition: Mapping[str, Any]) -> Any:
        kind = definition.get("parameterType", "STRING")
        if value is None and definition.get("isOptional"):
            return None
        typed = _from_text(value, kind) if isinstance(value, str) else value
        if kind in _KINDS and not _is(typed, kind):
            raise KubeflowUserError(f"{self.where}, parameter {name!r}: {_KINDS[kind]}. Received: {value!r}")
        return typed


def read(path: pathlib.Path) -> CompiledPipeline:
    """Reads a compiled file.

    Raises:
        KubeflowUserError: it does not exist, or is not a compiled pipeline of KFP v2.
    """
    try:
        documents = list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "not text"
        raise KubeflowUserError(f"pipeline_file {str(path)!r} cannot be read on this machine: {why}.") from None
    except yaml.YAMLError as error:
        raise KubeflowUserError(f"pipeline_file {str(path)!r} is no YAML: {' '.join(str(error).split())}") from None
    return from_documents(str(path), *(documents[:2] or [None]))


def from_documents(where: str, pipeline: Any, platform: Any = None) -> CompiledPipeline:
    """A pipeline from its documents.

    Raises:
        KubeflowUserError: they are not a compiled pipeline of KFP v2.
    """
    if isinstance(pipeline, dict) and pipeline.get("kind") == "Workflow":
        raise KubeflowUserError(f"{where} is a workflow of KFP v1. Compile it with kfp 2.")
    if (
        isinstance(pipeline, dict) and "pipeline_spec" in pipeline
    ):  # KFP's API returns a file of two documents like this
        pipeline, platform = pipeline["pipeline_spec"], pipeline.get("platform_spec")
    for key in ("pipelineInfo", "root"):
        if not isinstance(pipeline, dict) or not isinstance(pipeline.get(key), dict):
            raise KubeflowUserError(f"{where} is no compiled pipeline: it has no {key!r}. Compile it with kfp 2.")
    if not pipeline["pipelineInfo"].get("name"):
        raise KubeflowUserError(f"{where} is no compiled pipeline: its pipelineInfo has no 'name'.")
    if platform is not None and not isinstance(platform, dict):
        raise KubeflowUserError(f"{where} is no compiled pipeline: its second document does not describe a platform.")
    return CompiledPipeline(where, pipeline, platform or {})


def _from_text(text: str, kind: str) -> Any:
    """The value that a text spells out, or the text itself."""
    if kind == "STRING":
        return text
    if kind == "BOOLEAN":
        text = text.strip().lower()
    try:
        return json.loads(text)
    except ValueError:
        return text


def _is(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "BOOLEAN"
    types: dict[str, type | tuple[type, ...]] = {
        "STRING": str, "NUMBER_INTEGER": int, "NUMBER_DOUBLE": (int, float), "LIST": list, "STRUCT": dict,
    }  # fmt: skip
    return kind in types and isinstance(value, types[kind])
