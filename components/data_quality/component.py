"""The interface of DataQuality. Great Expectations is imported in the executor, when it runs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, ClassVar

from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import BaseChannel, channel, component_spec, standard_artifacts

from components import border
from components.artifacts import DataQualityReport
from components.data_quality.contract import check_contract, digest
from components.data_quality.driver import Driver
from components.data_quality.executor import DataQualityExecutor
from components.graph import Graph
from components.schema import left_out, read_schema
from spec.errors import InputError

_FAIL_ON = ("critical", "warning", "never")


class DataQualitySpec(component_spec.ComponentSpec):
    """Inputs, outputs and properties of DataQuality."""

    INPUTS: ClassVar[dict[str, Any]] = {
        "examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "schema": component_spec.ChannelParameter(type=standard_artifacts.Schema),
    }
    OUTPUTS: ClassVar[dict[str, Any]] = {"data_quality": component_spec.ChannelParameter(type=DataQualityReport)}
    PARAMETERS: ClassVar[dict[str, Any]] = {
        "suite_file": component_spec.ExecutionParameter(type=str),
        "suite_digest": component_spec.ExecutionParameter(type=str),
        "fail_on": component_spec.ExecutionParameter(type=str),
        "pipeline_root": component_spec.ExecutionParameter(type=str),
        "keys": component_spec.ExecutionParameter(type=str),
        "code": component_spec.ExecutionParameter(type=str),
        "left_out": component_spec.ExecutionParameter(type=str),
        "waivers": component_spec.ExecutionParameter(type=str, optional=True),
    }


class DataQuality(base_component.BaseComponent):
    """Runs a Great Expectations suite on the examples and stops the run on a failed expectation.

    Example:
        quality = DataQuality(
            examples=example_gen.outputs["examples"],
            schema=schema_importer.outputs["result"],
            suite_file="schemas/taxi/expectations.json",
            pipeline_root=pipeline_root,
        )
    """

    SPEC_CLASS = DataQualitySpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(DataQualityExecutor)
    DRIVER_CLASS = Driver

    def __init__(
        self,
        examples: BaseChannel,
        schema: BaseChannel,
        suite_file: str | os.PathLike[str],
        pipeline_root: str | Any,
        fail_on: str = "critical",
        keys: Sequence[str] = (),
        code: Sequence[str | os.PathLike[str]] = (),
        left_out: Sequence[str] = (),
    ) -> None:
        """Wires the component.

        Args:
            schema: the contract; a suite that names a column it lacks is refused.
            suite_file: a native GX ExpectationSuite in JSON; waivers.yaml and classes of its expectations may lie beside it.
            pipeline_root: where the evidence of a failed gate is kept (components.gates).
            fail_on: the least severity that stops the run: critical, warning or never.
            keys: columns that say which row a finding is about.
            code: more folders where the suite's own classes of expectations are looked for.
            left_out: columns that are not read; their expectations are reported as not judged.

        Raises:
            InputError: the suite is missing, or fail_on is none of the three.
        """
        if fail_on not in _FAIL_ON:
            raise InputError(f"fail_on must be one of {', '.join(_FAIL_ON)}. Received: {fail_on!r}")
        super().__init__(
            spec=DataQualitySpec(
                examples=examples,
                schema=schema,
                data_quality=channel.Channel(type=DataQualityReport),
                suite_file=os.fspath(suite_file),
                suite_digest=digest(suite_file, code),
                fail_on=fail_on,
                pipeline_root=pipeline_root,
                keys=border.dump(keys),
                code=border.dump(code),
                left_out=border.dump(left_out),
                waivers="",
            )
        )


def node(graph: Graph) -> DataQuality:
    site = graph.site
    suite = site.schema_folder / "expectations.json"
    ignored = left_out(read_schema(str(site.schema_folder)), graph.workload.data.ignore)
    check_contract(suite, site.schema_folder, ignored)
    return DataQuality(
        graph.outputs["examples"],
        graph.outputs["schema"],
        suite_file=str(suite),
        pipeline_root=graph.root,
        fail_on=graph.workload.quality.fail_on,
        keys=graph.workload.key_columns,
        code=[site.workload_folder],
        left_out=ignored,
    )
