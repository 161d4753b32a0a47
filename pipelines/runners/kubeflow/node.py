"""Runs a task of a compiled pipeline in its pod, its nodes one after another: `python -m pipelines.runners.kubeflow.node`.

Where a gate refuses, the nodes that do not need it go on, as they do in pods of their own; any other failure ends the pod. Its next
attempt finds the finished nodes in the metadata store.

Exit codes as everywhere in Trainyard: 0 done, 2 mend the input (a retry would fail again), 1 may be tried again. KFP retries
after either; a second attempt that would end with 2 again prints the same line and ends at once. The reason is in one
line that starts with `trainyard:`; KFP's launcher writes more lines after it, and Kubernetes keeps it as the termination message.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import functools
import gc
import os
import pathlib
import signal
import sys
import traceback
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from components import lazy_imports
from pipelines.runners import _failures
from pipelines.runners.kubeflow import grouping
from pipelines.runners.kubeflow.pod.refusals import as_refusal, check_revision
from spec import environment as env
from spec import exit_codes
from spec.errors import InputError

if TYPE_CHECKING:
    from ml_metadata.proto import metadata_store_pb2 as mlmd
    from tfx.proto.orchestration import pipeline_pb2

    from components.outputs import Outputs
    from pipelines.metadata.attempts import RunExecutions
    from pipelines.runners.kubeflow.launching import Ended
    from pipelines.runners.kubeflow.multi_node.manifest import TrainJobRequest

_TERMINATION_LOG, _TERMINATION_LIMIT = pathlib.Path("/dev/termination-log"), 4096
_ENDED = "its pod was told to end (a drained node, spot, eviction, a deadline, or by hand); may be tried again"


@dataclasses.dataclass(frozen=True)
class _Node:
    """One of the pod's nodes.

    Attributes:
        part: a pipeline with this node alone.
        bindings: this run's values for its runtime parameters.
        earlier: finds what an earlier attempt of this pod registered.
    """

    id: str
    part: pipeline_pb2.Pipeline
    bindings: dict[str, Any]
    earlier: RunExecutions

    @property
    def upstream(self) -> Sequence[str]:
        return tuple(self.part.nodes[0].pipeline_node.upstream_nodes)


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    # TFX passes sys.argv on to every executor as its flags.
    del sys.argv[1:]
    name = grouping.name_of(options.node)
    signal.signal(signal.SIGTERM, functools.partial(_told_to_end, name, os.getpid()))
    try:
        check_revision(options.revision)
        train_job = _train_job(options)
        nodes, config = _nodes(options)
        refusals = [refusal for node in nodes if (refusal := node.earlier.never_retry())]
    except BaseException as error:
        traceback.print_exc()
        return _failed(*_failures.describe(name, as_refusal(error)))
    if refusals:
        return _failed(_in_one_line(refusals), exit_codes.FIX_INPUT)
    made, failures = _run_all(nodes, config, train_job, options)
    if failures:
        return _failed(_in_one_line([message for message, _ in failures]), failures[0][1])
    from components.report.site import page_url
    from pipelines.runners.kubeflow import shown

    shown.show(options.executor_input, made, page_url(nodes[0].part.pipeline_info.id, options.run_id))
    return exit_codes.OK


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pipelines.runners.kubeflow.node", description=__doc__)
    parser.add_argument("--node", required=True, action="append", help="its id in the graph; may be repeated")
    parser.add_argument("--spec", required=True, action="append", help="its part of the TFX IR (spec.py), one a --node")
    parser.add_argument("--revision", default="", help="code revision that the pipeline was compiled from")
    parser.add_argument("--run-id", required=True, help="KFP's id of the run")
    parser.add_argument("--executor-input", default="", help="where KFP wants the outputs, as JSON ({{$}})")
    parser.add_argument(
        "--param", action="append", default=[], metavar="NAME=VALUE", help="one of the run's parameters"
    )
    parser.add_argument("--train-job", help="JSON: work in the pods of such a TrainJob (multi_node)")
    parser.add_argument("--train-job-image", default="", help="the image of those pods")
    parser.add_argument("--train-job-node-selector", default="{}", help="JSON: labels of their nodes")
    parser.add_argument("--train-job-tolerations", default="[]", help="JSON: taints that they bear")
    return parser


def _train_job(options: argparse.Namespace) -> TrainJobRequest | None:
    if not options.train_job:
        return None
    from pipelines.runners.kubeflow.multi_node.manifest import TrainJobRequest

    return TrainJobRequest.from_json(
        options.train_job, options.train_job_image, options.train_job_node_selector, options.train_job_tolerations
    )


def _nodes(options: argparse.Namespace) -> tuple[list[_Node], mlmd.ConnectionConfig]:
    from pipelines.metadata.attempts import RunExecutions
    from pipelines.metadata.connecting import connection_config
    from pipelines.runners.kubeflow import spec

    parts = [_part(argument, options) for argument in options.spec]
    config = connection_config()
    nodes = [
        _Node(node_id, part, bindings, RunExecutions(config, options.run_id, spec.node_context(part)))
        for node_id, (part, bindings) in zip(options.node, parts, strict=True)
    ]
    return nodes, config


def _part(argument: str, options: argparse.Namespace) -> tuple[pipeline_pb2.Pipeline, dict[str, Any]]:
    """A node's part of the IR, and this run's values for its runtime parameters."""
    from pipelines.runners.kubeflow import run_parameters, spec

    try:
        part = spec.decode(argument)
    except ValueError as error:
        raise InputError(f"--spec: {error}. Compile the pipeline again.") from None
    given = {name: value for name, _, value in (text.partition("=") for text in options.param)}
    defaults = spec.runtime_defaults(part)
    bindings = {"pipeline-run-id": options.run_id, **run_parameters.bindings(defaults, given)}
    forced = given.get(run_parameters.FORCE_RETRAIN, "false")
    trains = run_parameters.TRAINING in defaults
    if trains and run_parameters.convert(run_parameters.FORCE_RETRAIN, forced, bool):
        part.nodes[0].pipeline_node.execution_options.caching_options.enable_cache = False
    return part, bindings


def _run_all(
    nodes: Sequence[_Node],
    config: mlmd.ConnectionConfig,
    train_job: TrainJobRequest | None,
    options: argparse.Namespace,
) -> tuple[dict[str, Mapping[str, list[mlmd.Artifact]]], list[tuple[str, int]]]:
    """Runs the nodes in order.

    Returns:
        The outputs of each that succeeded, and of each that failed the line and the exit code.
    """
    made: dict[str, Mapping[str, list[mlmd.Artifact]]] = {}
    failures: list[tuple[str, int]] = []
    blocked: set[str] = set()
    for node in nodes:
        signal.signal(signal.SIGTERM, functools.partial(_told_to_end, node.id, os.getpid()))
        if blocked.intersection(node.upstream):
            blocked.add(node.id)
            continue
        try:
            ended = _run(node, config, train_job)
        except BaseException as error:
            traceback.print_exc()
            failures.append(_told(node, error, options))
            blocked.add(node.id)
            if not _failures.is_refusal(error):
                break
        else:
            made[node.id] = ended.outputs
            _end(node, ended, options)
    return made, failures


def _run(node: _Node, config: mlmd.ConnectionConfig, train_job: TrainJobRequest | None) -> Ended:
    import storage
    from pipelines.runners.kubeflow import spec

    storage.probe(f"{spec.pipeline_root(node.part)}/{node.id}")
    lazy_imports.install()
    # Seconds of imports: after everything that can be refused without them.
    from pipelines.runners.kubeflow.launching import run_node

    return run_node(node.part, node.bindings, config, node.earlier, train_job)


def _end(node: _Node, ended: Ended, options: argparse.Namespace) -> None:
    from components.outputs import Outputs
    from pipelines.runners.kubeflow.pod.staging import say

    _record(node, options)
    _say_the_span(Outputs(ended.outputs), node.id)
    say(f"{node.id}: {ended.outcome}")


def _told(node: _Node, error: BaseException, options: argparse.Namespace) -> tuple[str, int]:
    """A failure's line and exit code, which are noted where a retry would only meet it again."""
    message, code = _failures.describe(node.id, as_refusal(error))
    message += _where_the_evidence_is(node, options, error)
    if code == exit_codes.FIX_INPUT:
        _note(node.earlier, message)
        _record(node, options, message)
    return message, code


def _in_one_line(messages: Sequence[str]) -> str:
    """Why a pod failed: several of its gates may have refused."""
    return ". Also: ".join([*(message.rstrip(".") for message in messages[:-1]), messages[-1]])


def _note(earlier: RunExecutions, message: str) -> None:
    try:
        earlier.set_never_retry(message)
    except Exception:
        traceback.print_exc()  # the next attempt will find out for itself


def _record(node: _Node, options: argparse.Namespace, error: str = "") -> None:
    """Writes to the history of data quality, if there is one."""
    if not os.environ.get(env.HISTORY):
        return
    try:
        from pipelines.metadata.connecting import connect, connection_config
        from pipelines.runners.kubeflow import recording, spec

        store = connect(connection_config())
        run = recording.Run(node.part.pipeline_info.id, options.run_id, spec.pipeline_root(node.part), store)
        recording.record(run, node.id, error)
    except Exception:
        traceback.print_exc()  # the node's work is done and published


def _where_the_evidence_is(node: _Node, options: argparse.Namespace, error: BaseException) -> str:
    """Where a gate's evidence is, for the error message: KFP shows no outputs of a task that failed."""
    from components.gates import evidence_directory
    from pipelines.runners.kubeflow import spec

    if not _failures.is_refusal(error):
        return ""
    folder = evidence_directory("", options.run_id, node.id).as_posix()
    return f" What the gate found is in {spec.pipeline_root(node.part)}/{folder}"


def _say_the_span(made: Outputs, node_id: str) -> None:
    """Prints the span for `trainyard runs resume`, which resumes a run of "the newest span" with the span that it got."""
    from pipelines.runners.kubeflow.resume import EXAMPLE_GEN, SPAN_LINE

    if node_id == EXAMPLE_GEN and (span := made.property("examples", "span")) is not None:
        print(f"{SPAN_LINE} {span}", flush=True)


def _told_to_end(node_id: str, process: int, number: int, frame: Any) -> None:
    """On SIGTERM, when the pod is deleted: says so, then ends like a process without a handler; forked ones end silently."""
    if os.getpid() == process:
        _failed(f"{node_id}: {_ENDED}", 128 + number)
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def _failed(message: str, code: int) -> int:
    line = f"trainyard: {message}\n"
    # Not `print`: this may run in a signal handler that has interrupted one.
    sys.stderr.flush()
    os.write(2, line.encode("utf-8", "replace"))
    if _TERMINATION_LOG.exists():
        # Kubernetes creates the file, writable by the container's user, and keeps 4,096 bytes of it.
        with contextlib.suppress(OSError):
            _TERMINATION_LOG.write_bytes(line.encode("utf-8", "replace")[:_TERMINATION_LIMIT])
    return code


if __name__ == "__main__":
    code = main()
    gc.freeze()  # as in cli/main.py: the pod ends some seconds earlier
    sys.exit(code)
