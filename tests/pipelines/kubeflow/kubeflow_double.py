"""A double of what Kubeflow Pipelines does to a compiled file: order, placeholders, environment, outputs, a process a task.

It reads nothing but the file: command and args of each executor, the tasks' dependencies and inputs, the parameters' defaults.
Scheduling, images, Secrets and retries are not doubled; `environment` stands for the Secrets.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml
from google.protobuf import json_format
from kfp import dsl
from kfp.local import executor_input_utils, executor_output_utils
from kfp.pipeline_spec import pipeline_spec_pb2

from pipelines.runners.kubeflow import spec

ROOT = pathlib.Path(__file__).resolve().parents[3]
_PARAMETER = re.compile(r"\{\{\$\.inputs\.parameters\['([^']+)'\]\}\}")


@dataclasses.dataclass
class Attempt:
    """One pod's end."""

    task: str
    code: int
    output: str


class KubeflowDouble:
    """Runs compiled files.

    Args:
        compiled: the YAML.
        environment: what Secrets and the pod's `env` would set; wins over the file's.
    """

    def __init__(self, compiled: str, environment: Mapping[str, str]) -> None:
        self.spec, self.platform = list(yaml.safe_load_all(compiled))
        self.environment = environment

    def order(self) -> list[str]:
        """The tasks, each after those that it depends on."""
        tasks = self.spec["root"]["dag"]["tasks"]
        done: list[str] = []
        while len(done) < len(tasks):
            ready = [t for t in tasks if t not in done and set(tasks[t].get("dependentTasks", ())) <= set(done)]
            assert ready, "the tasks wait for each other"
            done += ready
        return done

    def run(self, run_id: str, only: Sequence[str] | None = None, **given: Any) -> list[Attempt]:
        """Runs tasks in order and stops at the first that fails."""
        attempts = []
        for task in self.order():
            if only is None or task in only:
                attempts.append(self.run_task(task, run_id, **given))
                if attempts[-1].code:
                    break
        return attempts

    def argv(self, task: str, run_id: str, **given: Any) -> list[str]:
        """The process that KFP's launcher would start."""
        container, sources = self.container(task), self.spec["root"]["dag"]["tasks"][task]["inputs"]["parameters"]
        inputs = {name: self._value(source, run_id, given) for name, source in sources.items()}
        words = [*container["command"], *container["args"]]
        words = [_PARAMETER.sub(lambda found: inputs[found[1]], word) for word in words]
        executor_input = json_format.MessageToJson(self.executor_input(task, self.folder(task, run_id)), indent=None)
        words = [word.replace("{{$}}", executor_input) for word in words]
        assert words[0] == "python", words[0]
        return words

    def folder(self, task: str, run_id: str) -> pathlib.Path:
        """Where a task leaves what KFP's UI shows."""
        return pathlib.Path(self.environment.get("HOME", tempfile.gettempdir())) / "kfp" / run_id / task

    def executor_input(self, task: str, folder: pathlib.Path) -> pipeline_spec_pb2.ExecutorInput:
        """What KFP tells a container, as kfp.local makes it: outputs lie in folders."""
        component = self._component(task)
        component.input_definitions.Clear()
        return executor_input_utils.construct_executor_input(component, {}, str(folder), block_input_artifact=True)

    def all_shown(self, run_id: str) -> dict[str, dsl.Artifact]:
        """What all tasks left for KFP's UI, by the output's name."""
        return {name: one for task in self.order() for name, one in self.shown(task, run_id).items()}

    def shown(self, task: str, run_id: str) -> dict[str, dsl.Artifact]:
        """What a task left for KFP's UI, read by kfp.local's own code and held to what KFP's launchers ask for."""
        executor_input = self.executor_input(task, self.folder(task, run_id))
        output = executor_output_utils.load_executor_output(executor_input.outputs.output_file)
        assert set(output.artifacts) == set(executor_input.outputs.artifacts)
        for name, listed in output.artifacts.items():
            (artifact,), (declared,) = listed.artifacts, executor_input.outputs.artifacts[name].artifacts
            assert "nullValue" not in str(artifact.metadata) and "null_value" not in str(artifact.metadata)
            assert artifact.uri == declared.uri  # another one would have to lie below KFP's own root
            title = declared.type.schema_title
            if title == "system.Metrics":
                assert {value.WhichOneof("kind") for value in artifact.metadata.fields.values()} <= {"number_value"}
            elif title != "system.ClassificationMetrics":
                assert pathlib.Path(artifact.uri).is_file()
        found: dict[str, dsl.Artifact] = executor_output_utils.get_outputs_from_executor_output(
            output, executor_input, self._component(task)
        )
        return found

    def _component(self, task: str) -> pipeline_spec_pb2.ComponentSpec:
        reference = self.spec["root"]["dag"]["tasks"][task]["componentRef"]["name"]
        return json_format.ParseDict(self.spec["components"][reference], pipeline_spec_pb2.ComponentSpec())

    def declared(self, task: str) -> dict[str, str]:
        """The environment that the file gives a task's container."""
        return {one["name"]: one["value"] for one in self.container(task).get("env", [])}

    def container(self, task: str) -> dict[str, Any]:
        """What the file says of a task's container: image, command, args, env, resources."""
        reference = self.spec["root"]["dag"]["tasks"][task]["componentRef"]["name"]
        label = self.spec["components"][reference]["executorLabel"]
        found: dict[str, Any] = self.spec["deploymentSpec"]["executors"][label]["container"]
        return found

    @contextlib.contextmanager
    def rooted(self, task: str, root: str) -> Iterator[None]:
        """The task's artifacts go elsewhere, meanwhile."""
        arguments = self.container(task)["args"]
        at = arguments.index("--spec") + 1
        compiled = arguments[at]
        part = spec.decode(compiled)
        part.runtime_spec.pipeline_root.runtime_parameter.default_value.string_value = root
        arguments[at] = spec.encode(part)
        try:
            yield
        finally:
            arguments[at] = compiled

    def start(self, task: str, run_id: str, **given: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, *self.argv(task, run_id, **given)[1:]],
            env={**os.environ, **self.declared(task), **self.environment},
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run_task(self, task: str, run_id: str, **given: Any) -> Attempt:
        process = self.start(task, run_id, **given)
        output, _ = process.communicate(timeout=600)
        return Attempt(task, process.returncode, output)

    def _value(self, source: Mapping[str, Any], run_id: str, given: Mapping[str, Any]) -> str:
        if "componentInputParameter" in source:
            name = source["componentInputParameter"]
            declared = self.spec["root"]["inputDefinitions"]["parameters"][name]
            return _text(given.get(name, declared.get("defaultValue")), declared["parameterType"])
        return str(source["runtimeValue"]["constant"]).replace("{{$.pipeline_job_uuid}}", run_id)


def _text(value: Any, kind: str) -> str:
    """As KFP's launcher writes a parameter into an argument."""
    if kind == "BOOLEAN":
        return str(bool(value)).lower()
    if kind == "NUMBER_INTEGER":
        return str(int(value))
    if kind in ("STRUCT", "LIST"):
        return json.dumps(value)
    return str(value)
