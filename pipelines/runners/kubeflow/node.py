"""Runs one node of a compiled pipeline in its pod: `python -m pipelines.runners.kubeflow.node`.

Exit codes as everywhere in Trainyard: 0 done, 2 mend the input (trying again finds the same), 1 may be tried again. KFP tries
again after either; a second attempt that could only meet a 2 again says the same line and ends at once. Why it failed is in one
line that starts with `trainyard:`; KFP's launcher writes after it, and Kubernetes keeps it as the pod's termination message.
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
from quality.provenance import code_of
from spec import environment as env
from spec import exit_codes
from spec.errors import InputError

if TYPE_CHECKING:
    from ml_metadata.proto import metadata_store_pb2 as mlmd
    from tfx.proto.orchestration import pipeline_pb2

    from components.outputs import Outputs
    from pipelines.metadata.connecting import RunExecutions
    from pipelines.runners.kubeflow.launching import Ended
    from pipelines.runners.kubeflow.multi_node.manifest import TrainJobRequest

_TERMINATION_LOG, _TERMINATION_LIMIT = pathlib.Path("/dev/termination-log"), 4096
_ENDED = "its pod was told to end (a drained node, spot, eviction, a deadline, or by hand); may be tried again"


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    # TFX hands sys.argv on to every executor as flags of its own.
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
        earlier = executions  # the store answers, so that a failure can be noted there
        ended = _run(part, bindings, config, executions, train_job)
    except BaseException as error:
        traceback.print_exc()
        message, code = _failures.describe(options.node, readable(error))
        if part is not None:
            message += _where_the_evidence_is(part, options, error)
            if code == exit_codes.FIX_INPUT and earlier is not None:
                _note(earlier, message)
                _record(part, options, message)
        return _failed(message, code)
    from components.outputs import Outputs
    from pipelines.runners.kubeflow import shown
    from pipelines.runners.kubeflow.staging import say
    from quality.reports import page_url

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
    parser.add_argument("--train-job", help="JSON: run the executor in the pods of such a TrainJob (multi_node)")
    parser.add_argument("--train-job-image", default="", help="the image of those pods")
    parser.add_argument("--train-job-node-selector", default="{}", help="JSON: labels of their nodes")
    parser.add_argument("--train-job-tolerations", default="[]", help="JSON: taints that they bear")
    return parser


def check_revision(compiled: str) -> None:
    """Refuses to run code that the pipeline was not compiled from: its cache keys and its lineage would lie.

    Raises:
        InputError: the image has another revision.
    """
    here = code_of().revision
    if compiled and here != compiled:
        raise InputError(
            f"this image holds code revision {here or 'unknown'}, and the pipeline was compiled from {compiled}. Run it with an "
            "image of that revision (run parameter image), or compile it again from the image's."
        )


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
    from pipelines.metadata import connecting as metadata
    from pipelines.runners.kubeflow import spec

    config = metadata.connection_config()
    return metadata.RunExecutions(config, run_id, spec.node_context(part)), config


def _run(
    part: pipeline_pb2.Pipeline,
    bindings: dict[str, Any],
    config: mlmd.ConnectionConfig,
    earlier: RunExecutions,
    train_job: TrainJobRequest | None,
) -> Ended:
    from pipelines.runners.kubeflow import spec, transfer

    transfer.probe(f"{spec.pipeline_root(part)}/{part.nodes[0].pipeline_node.node_info.id}")
    lazy_imports.install()
    # Seconds of imports: after everything that can be refused without them.
    from pipelines.runners.kubeflow.launching import run_node

    return run_node(part, bindings, config, earlier, train_job)


def readable(error: BaseException) -> BaseException:
    """Refused access out of a component's own reads, as the InputError that it is."""
    from pipelines.runners.kubeflow import transfer

    for one in _failures.chain(error):
        if isinstance(one, InputError):
            return one  # it says which place it was
        if refused := transfer.as_refused(one):
            return refused
    return error


def _note(earlier: RunExecutions, message: str) -> None:
    try:
        earlier.set_never_retry(message)
    except Exception:
        traceback.print_exc()  # then the next attempt finds out by itself


def _record(part: pipeline_pb2.Pipeline, options: argparse.Namespace, error: str = "") -> None:
    """The history of data quality, where there is one; a node that is none of its business loads nothing of it."""
    if not os.environ.get(env.HISTORY):
        return
    try:
        from pipelines.metadata import connecting as metadata
        from pipelines.runners.kubeflow import recording, spec

        store = metadata.connect(metadata.connection_config())
        run = recording.Run(part.pipeline_info.id, options.run_id, spec.pipeline_root(part), store)
        recording.record(run, options.node, error)
    except Exception:
        traceback.print_exc()  # the node's work is done and published


def _where_the_evidence_is(part: pipeline_pb2.Pipeline, options: argparse.Namespace, error: BaseException) -> str:
    """KFP shows no outputs of a task that failed: the line names what the gate left, and every attempt says it."""
    from components.gates import GateFailed, evidence_directory
    from pipelines.runners.kubeflow import spec

    if not any(isinstance(one, GateFailed) for one in _failures.chain(error)):
        return ""
    folder = evidence_directory("", options.run_id, options.node).as_posix()
    return f" What the gate found is in {spec.pipeline_root(part)}/{folder}"


def _say_the_span(made: Outputs, node_id: str) -> None:
    """For `trainyard runs resume`: a run of "the newest span" is resumed with the one that it was given."""
    from pipelines.runners.kubeflow.resume import EXAMPLE_GEN, SPAN_LINE

    if node_id == EXAMPLE_GEN and (span := made.property("examples", "span")) is not None:
        print(f"{SPAN_LINE} {span}", flush=True)


def _told_to_end(node_id: str, process: int, number: int, frame: Any) -> None:
    """SIGTERM: the pod is being deleted. Says so, and ends as a process without a handler does; so do those that it forked."""
    if os.getpid() == process:
        _failed(f"{node_id}: {_ENDED}", 128 + number)
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def _failed(message: str, code: int) -> int:
    line = f"trainyard: {message}\n"
    # Not `print`: a signal's handler may have interrupted one.
    sys.stderr.flush()
    os.write(2, line.encode("utf-8", "replace"))
    if _TERMINATION_LOG.exists():
        # Kubernetes makes the file, for whoever the container runs as, and keeps 4,096 bytes of it.
        with contextlib.suppress(OSError):
            _TERMINATION_LOG.write_bytes(line.encode("utf-8", "replace")[:_TERMINATION_LIMIT])
    return code


if __name__ == "__main__":
    code = main()
    gc.freeze()  # as in cli/main.py: the pod ends seconds earlier
    sys.exit(code)
