"""One worker of a TrainJob: `python -m pipelines.runners.kubeflow.multi_node.worker`.

It runs the executor and nothing else: it has no access to the metadata store, and of all workers the chief alone leaves outputs.
Exit codes as of a node (node.py); a failure is told to the Trainer's pod as well.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from components import lazy_imports
from pipelines.runners import _failures
from pipelines.runners.kubeflow.pod.refusals import as_refusal, check_revision
from spec import environment as env
from spec import exit_codes
from spec.errors import InputError

if TYPE_CHECKING:
    from tfx.orchestration.portable import data_types

    from pipelines.runners.kubeflow.multi_node.exchange import Exchange

# Kubernetes' own, in the pods of an indexed Job.
INDEX = "JOB_COMPLETION_INDEX"


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    # TFX hands sys.argv on to every executor as flags of its own.
    del sys.argv[1:]
    exchange, index = None, 0
    try:
        check_revision(options.revision)
        config = tf_config(os.environ)
        index = int(config["task"]["index"])
        os.environ["TF_CONFIG"] = json.dumps(config)
        lazy_imports.install()
        # Seconds of imports: after everything that can be refused without them.
        from pipelines.runners.kubeflow.multi_node.exchange import Exchange
        from pipelines.runners.kubeflow.pod import filesystem

        filesystem.register()
        exchange = Exchange(options.folder)
        _run(exchange, options.executor, index)
    except BaseException as error:
        traceback.print_exc()
        message, code = _failures.describe(options.node, as_refusal(error))
        if exchange is not None:
            _tell(exchange, index, message, code)
        print(f"trainyard: {message}", file=sys.stderr, flush=True)
        return code
    return exit_codes.OK


def tf_config(environment: Mapping[str, str]) -> dict[str, Any]:
    """TensorFlow's name for the cluster, from what the job gives to its pods.

    Args:
        environment: the addresses of all workers, in order, and which of them this is.

    Raises:
        InputError: it is not that of a TrainJob's pod.

    Example:
        >>> tf_config({"TRAINYARD_WORKERS": "a:2222,b:2222", "JOB_COMPLETION_INDEX": "1"})["task"]
        {'type': 'worker', 'index': 1}
    """
    workers = [one for one in environment.get(env.WORKERS, "").split(",") if one]
    index = environment.get(INDEX, "")
    if len(workers) < 2 or not index.isdecimal() or int(index) >= len(workers):
        raise InputError(
            f"expected the pod of a TrainJob, with {env.WORKERS} (two addresses or more) and {INDEX} (a number below that). "
            f"Received: {environment.get(env.WORKERS)!r} and {index!r}"
        )
    return {"cluster": {"worker": workers}, "task": {"type": "worker", "index": int(index)}}


def _run(exchange: Exchange, executor: str, index: int) -> None:
    from tfx.proto.orchestration import executable_spec_pb2

    from pipelines.runners.kubeflow.pod.staging import StagedPythonOperator, say

    info = exchange.invocation()
    is_chief = index == 0
    if not is_chief:
        info.output_dict = _elsewhere(info)
    operator = StagedPythonOperator(executable_spec_pb2.PythonClassExecutableSpec(class_path=executor))
    output = operator.run_executor(info)
    if is_chief:
        exchange.put_output(output)
    say(f"worker {index}: done")


def _elsewhere(info: data_types.ExecutionInfo) -> dict[str, list[Any]]:
    """Output artifacts in a scratch folder: what another than the chief leaves there goes with its pod."""
    from pipelines.runners.kubeflow.pod.staging import scratch

    outputs = {key: copy.deepcopy(list(listed)) for key, listed in info.output_dict.items()}
    for key, listed in outputs.items():
        for number, one in enumerate(listed):
            one.uri = str(scratch() / "unused" / key / str(number))
    return outputs


def _tell(exchange: Exchange, index: int, message: str, code: int) -> None:
    from pipelines.runners.kubeflow.multi_node.exchange import Failure

    try:
        exchange.put_failure(index, Failure(message, code))
    except Exception:
        traceback.print_exc()  # then the Trainer's pod knows the job's condition alone


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pipelines.runners.kubeflow.multi_node.worker", description=__doc__)
    parser.add_argument("--node", required=True, help="the node's id in the graph")
    parser.add_argument("--folder", required=True, help="where the Trainer's pod says what to do (exchange.py)")
    parser.add_argument("--executor", required=True, help="dotted path of the executor's class")
    parser.add_argument("--revision", default="", help="code revision that the pipeline was compiled from")
    return parser


if __name__ == "__main__":
    sys.exit(main())
