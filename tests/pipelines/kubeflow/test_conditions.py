"""TFX's conditions (`Cond`): they are part of a node's IR, so the node's own pod decides, by what MLMD has."""

from __future__ import annotations

import pathlib

import pytest
from ml_metadata.proto import metadata_store_pb2 as mlmd
from tfx import types
from tfx.dsl.compiler import compiler
from tfx.dsl.components.base import base_component, base_executor, executor_spec
from tfx.dsl.experimental.conditionals import conditional
from tfx.orchestration import pipeline
from tfx.types import standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from pipelines.metadata.attempts import RunExecutions
from pipelines.metadata.connecting import open_once
from pipelines.runners.kubeflow import spec
from pipelines.runners.kubeflow.launching import run_node


class GateExecutor(base_executor.BaseExecutor):
    def Do(self, input_dict, output_dict, exec_properties):
        output_dict["blessing"][0].set_int_custom_property("blessed", exec_properties["blessed"])


class GateSpec(ComponentSpec):
    PARAMETERS = {"blessed": ExecutionParameter(type=int)}
    INPUTS = {}
    OUTPUTS = {"blessing": ChannelParameter(type=standard_artifacts.ModelBlessing)}


class Gate(base_component.BaseComponent):
    SPEC_CLASS = GateSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(GateExecutor)

    def __init__(self, blessed: int) -> None:
        super().__init__(GateSpec(blessed=blessed, blessing=types.Channel(type=standard_artifacts.ModelBlessing)))


class PushExecutor(base_executor.BaseExecutor):
    def Do(self, input_dict, output_dict, exec_properties):
        (pathlib.Path(output_dict["pushed_model"][0].uri) / "pushed").write_text("yes")


class PushSpec(ComponentSpec):
    PARAMETERS = {}
    INPUTS = {}
    OUTPUTS = {"pushed_model": ChannelParameter(type=standard_artifacts.PushedModel)}


class Push(base_component.BaseComponent):
    SPEC_CLASS = PushSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(PushExecutor)

    def __init__(self) -> None:
        super().__init__(PushSpec(pushed_model=types.Channel(type=standard_artifacts.PushedModel)))


@pytest.mark.parametrize(("blessed", "outcome"), [(1, "done"), (0, "skipped: a condition of the graph does not hold")])
def test_a_node_runs_only_if_its_condition_holds(tmp_path: pathlib.Path, blessed: int, outcome: str) -> None:
    gate = Gate(blessed)
    with conditional.Cond(gate.outputs["blessing"].future()[0].custom_property("blessed") == 1):
        push = Push()
    graph = pipeline.Pipeline("conditions", str(tmp_path / "root"), components=[gate, push])
    ir = compiler.Compiler().compile(graph)
    assert spec.node_ids(ir) == ["Gate", "Push"]
    assert list(ir.nodes[1].pipeline_node.upstream_nodes) == ["Gate"]  # KFP waits for what the condition reads
    config = mlmd.ConnectionConfig()
    config.sqlite.filename_uri = str(tmp_path / "metadata.sqlite")
    config.sqlite.connection_mode = mlmd.SqliteMetadataSourceConfig.READWRITE_OPENCREATE

    def run(node: str) -> str:
        part = spec.decode(spec.encode(spec.part_of(ir, node)))  # as it travels in the compiled file
        return run_node(
            part, {"pipeline-run-id": "r"}, config, RunExecutions(config, "r", spec.node_context(part))
        ).outcome

    assert [run("Gate"), run("Push")] == ["done", outcome]
    executions = open_once(config).get_executions()
    assert len(executions) == 1 + blessed
    assert bool(list((tmp_path / "root").rglob("pushed"))) is bool(blessed)
