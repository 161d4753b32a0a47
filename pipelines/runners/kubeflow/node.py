"""Runs one node of a compiled pipeline in its pod: `python -m pipelines.runners.kubeflow.node`.

Exit codes as everywhere in Trainyard: 0 done, 2 mend the input (a retry would fail again), 1 may be tried again. KFP retries
after either; a second attempt that would end with 2 again prints the same line and ends at once. The reason is in one
line that starts with `trainyard:`; KFP's launcher writes more lines after it, and Kubernetes keeps it as the termination message.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import gc
import os
import pathlib
import signal
import sys
import traceback
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from components import lazy_imports
from pipelines.runners import _failures
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


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    # TFX passes sys.argv on to every executor as its flags.
    del sys.argv[1:]
    signal.signal(signal.SIGTERM, functools.partial(_told_to_end, options.node, os.getpid()))
    earlier, part = None, None
    try:
        check_revision(options.revision)
        train_job = _train_job(options)
        part, bindings = _part(options)
        executions, config = _earlier(part, options.run_id)
        if refusal := executions.never_retry():
            return _failed(refusal, exit_codes.FIX_INPUT)
        earlier = executions  # the store answers, so a failure can be noted there
        ended = _run(part, bindings, config, executions, train_job)
    except BaseException as error:
        traceback.print_exc()
        message, code = _failures.describe(options.node, as_refusal(error))
        if part is not None:
            message += _where_the_evidence_is(part, options, error)
            if code == exit_codes.FIX_INPUT and earlier is not None:
                _note(earlier, message)
                _record(part, options, message)
        return _failed(message, code)
    from components.outputs import Outputs
    from components.report.site import page_url
    from pipelines.runners.kubeflow import shown
    from pipelines.runners.kubeflow.pod.staging import say

    shown.show(options.executor_input, options.node, ended.outputs, page_url(part.pipeline_info.id, options.run_id))
    _record(part, options)
    _say_the_span(Outputs(ended.outputs), options.node)
    say(f"{options.node}: {ended.outcome}")
    return exit_codes.OK


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pipelines.runners.kubeflow.node", description=__doc__)
    parser.add_argument("--node", required=True, help="its id in the graph")
    parser.add_argument("--spec", required=True, help="its part of the TFX IR (spec.py)")
    parser.add_argument("--revision", default="", help="code revision that the pipeline was compiled from")
    parser.add_argument("--run-id", required=True, help="KFP's id of the run")
    parser.add_argument("--executor-input", default="", help="where KFP wants the node's outputs, as JSON ({{$}})")
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


def _part(options: argparse.Namespace) -> tuple[pipeline_pb2.Pipeline, dict[str, Any]]:
    """The node's part of the IR, and this run's values for its runtime parameters."""
    from pipelines.runners.kubeflow import run_parameters, spec

    try:
        part = spec.decode(options.spec)
    except ValueError as error:
        raise InputError(f"--spec: {error}. Compile the pipeline again.") from None
    given = {name: value for name, _, value in (text.partition("=") for text in options.param)}
    defaults = spec.runtime_defaults(part)
    bindings = {"pipeline-run-id": options.run_id, **run_parameters.bindings(defaults, given)}
    forced = given.get(run_parameters.FORCE_RETRAIN, "false")
    if run_parameters.convert(run_parameters.FORCE_RETRAIN, forced, bool):
        part.nodes[0].pipeline_node.execution_options.caching_options.enable_cache = False
    return part, bindings


def _earlier(part: pipeline_pb2.Pipeline, run_id: str) -> tuple[RunExecutions, mlmd.ConnectionConfig]:
    from pipelines.metadata.attempts import RunExecutions
    from pipelines.metadata.connecting import connection_config
    from pipelines.runners.kubeflow import spec

    config = connection_config()
    return RunExecutions(config, run_id, spec.node_context(part)), config


def _run(
    part: pipeline_pb2.Pipeline,
    bindings: dict[str, Any],
    config: mlmd.ConnectionConfig,
    earlier: RunExecutions,
    train_job: TrainJobRequest | None,
) -> Ended:
    import storage
    from pipelines.runners.kubeflow import spec

    storage.probe(f"{spec.pipeline_root(part)}/{part.nodes[0].pipeline_node.node_info.id}")
    lazy_imports.install()
    # Seconds of imports: after everything that can be refused without them.
    from pipelines.runners.kubeflow.launching import run_node

    return run_node(part, bindings, config, earlier, train_job)


def _note(earlier: RunExecutions, message: str) -> None:
    try:
        earlier.set_never_retry(message)
    except Exception:
        traceback.print_exc()  # the next attempt will find out for itself


def _record(part: pipeline_pb2.Pipeline, options: argparse.Namespace, error: str = "") -> None:
    """Writes to the history of data quality, if there is one."""
    if not os.environ.get(env.HISTORY):
        return
    try:
        from pipelines.metadata.connecting import connect, connection_config
        from pipelines.runners.kubeflow import recording, spec

        store = connect(connection_config())
        run = recording.Run(part.pipeline_info.id, options.run_id, spec.pipeline_root(part), store)
        recording.record(run, options.node, error)
    except Exception:
        traceback.print_exc()  # the node's work is done and published


def _where_the_evidence_is(part: pipeline_pb2.Pipeline, options: argparse.Namespace, error: BaseException) -> str:
    """Where a gate's evidence is, for the error message: KFP shows no outputs of a task that failed."""
    from components.gates import GateFailed, evidence_directory
    from pipelines.runners.kubeflow import spec

    if not any(isinstance(one, GateFailed) for one in _failures.chain(error)):
        return ""
    folder = evidence_directory("", options.run_id, options.node).as_posix()
    return f" What the gate found is in {spec.pipeline_root(part)}/{folder}"


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
