"""`trainyard run` and `trainyard predict`."""

from __future__ import annotations

import argparse
import contextlib
import pathlib
import sys
from collections.abc import Iterator

from cli import arguments, several
from cli.arguments import Commands
from model_store import StoreError
from spec import environment as env
from spec import exit_codes
from spec.errors import InputError
from spec.workload import WorkloadError

_FILE_OPTIONS = ("keys", "format", "overwrite", "beam", "wait")
_QUEUE_OPTIONS = ("consumers", "attempts", "drain", "allow")


def add_commands(commands: Commands) -> None:
    _add_run(commands)
    _add_predict(commands)


def _add_run(commands: Commands) -> None:
    command = commands.add_parser(
        "run",
        help="run a workload's training pipeline on this machine",
        description="Ingests, validates, transforms, trains, evaluates against thresholds and champion, checks that the "
        "exported model answers, and publishes a release if every gate is passed. What has not changed comes from the cache.",
        epilog="examples:\n  trainyard run taxi\n  trainyard run taxi --span 2 --param training.epochs=3 --param learning_rate=0.01\n"
        "  trainyard run taxi --json | jq .metrics.auc\n  trainyard run all --quick                      # does everything work?",
    )
    command.add_argument("workload", help="its name, or `all`: one after the other")
    command.add_argument(
        "--quick",
        action="store_true",
        help="on about 2,000 rows of each split of its data set, for two epochs at most, in a home of its own that is removed "
        "if all goes well; thresholds are shown and not judged",
    )
    command.add_argument("--keep", action="store_true", help="with --quick: keep that home, and say where it is")
    command.add_argument("--span", type=arguments.span, help="newest span to train on; default: the newest there is")
    arguments.add_param(
        command, "a field of workload.yaml by its path (training.epochs=3), or a hyper-parameter (learning_rate=0.01)"
    )
    arguments.add_beam(command)
    arguments.add_json(command)
    command.add_argument(
        "--wait",
        type=arguments.wait,
        default=600,
        metavar="SECONDS",
        help="how long to wait for another run of this workload (600)",
    )
    command.add_argument(
        "--until",
        action="append",
        default=[],
        metavar="NODE",
        help="run only this node and what it needs, e.g. DataQuality; repeat it for more. A later run goes on from there",
    )
    command.set_defaults(handler=_run)


def _add_predict(commands: Commands) -> None:
    command = commands.add_parser(
        "predict",
        help="predict for raw files, or for the items of a queue, with a release (batch inference)",
        description="--data: reads raw files by the columns that the release takes (the label may be there and is not read), and "
        "writes a folder: predictions-*.parquet, failed.parquet (each row without a prediction, with the reason) and index.json.\n"
        '--queue: takes items as they come, {"id": ..., "instances": [...]} or files of rows, and writes <id>.parquet for each, '
        "once, though processes die. What cannot be answered is put aside with the reason (docs/guides/batch-inference.md).",
        epilog="examples:\n  trainyard predict taxi --data new_trips.csv --out predictions\n"
        "  trainyard predict churn --data 's3://bucket/2026-11/*.parquet' --format parquet --keys customer_id --out out\n"
        "  trainyard predict taxi --queue inbox/ --out results/ --drain                  # a folder; ends when it is empty\n"
        "  trainyard predict taxi --queue 'redis://localhost:6379/0?stream=trips' --out s3://bucket/results --consumers 4",
    )
    command.add_argument("workload")
    source = command.add_mutually_exclusive_group(required=True)
    source.add_argument("--data", metavar="URI", help="a file, a folder, a glob pattern or a URL")
    source.add_argument(
        "--queue",
        metavar="URI",
        help=f"a folder, or redis://host:6379/0?stream=NAME (trainyard:WORKLOAD; password in {env.QUEUE_PASSWORD})",
    )
    command.add_argument(
        "--out", required=True, metavar="DIR", help="folder that appears when all is written; with --queue also a URL"
    )
    command.add_argument("--release", default="stable", metavar="stable|canary|N", help="which release (stable)")
    command.add_argument(
        "--keys",
        type=lambda text: tuple(dict.fromkeys(name for name in text.split(",") if name)),
        default=(),
        metavar="COL,...",
        help="columns to carry into the output; default: the file and the row's number",
    )
    command.add_argument(
        "--format",
        choices=("csv", "xlsx", "parquet", "jsonl", "json", "tfrecord", "images"),
        help="of the files; default: the workload's",
    )
    command.add_argument("--overwrite", action="store_true", help="replace predictions that are in DIR already")
    arguments.add_beam(command)
    arguments.add_json(command)
    command.add_argument("--wait", type=arguments.wait, metavar="SECONDS", help="how long to wait for another (600)")
    _add_queue_options(command)
    command.set_defaults(handler=_predict)


def _add_queue_options(command: argparse.ArgumentParser) -> None:
    group = command.add_argument_group("with --queue")
    number = arguments.whole_number(1, 1000)
    group.add_argument("--consumers", type=number, metavar="N", help="processes, each with the model in memory (1)")
    group.add_argument(
        "--attempts", type=number, metavar="N", help="how often an item is tried that kills its consumer, or fails (3)"
    )
    group.add_argument(
        "--drain", action="store_true", help="end when the queue is empty; default: at SIGTERM or Ctrl-C"
    )
    group.add_argument(
        "--allow",
        action="append",
        default=[],
        metavar="PREFIX",
        help="folder or URL below which items may name files; repeat it for more. Default: items bring their rows along",
    )


def _run(options: argparse.Namespace) -> int:
    from cli.display import run_display
    from pipelines.run import RunRequest, run

    request = RunRequest(
        options.workload,
        options.span,
        tuple(options.param),
        options.wait,
        tuple(options.beam),
        tuple(dict.fromkeys(options.until)),
    )
    if options.quick or options.workload == several.ALL:
        return several.run_several(options, request)
    if options.keep:
        raise InputError("--keep: is for --quick; other runs stay anyway.")
    with _refusals_as_json(options):
        return run(request, run_display(options.json)).exit_code


def _predict(options: argparse.Namespace) -> int:
    _refuse_what_does_not_fit(options)
    return _predict_queue(options) if options.queue is not None else _predict_files(options)


def _refuse_what_does_not_fit(options: argparse.Namespace) -> None:
    """Options of one source beside the other would be ignored in silence."""
    other, names = ("--data", _FILE_OPTIONS) if options.queue is not None else ("--queue", _QUEUE_OPTIONS)
    if given := [f"--{name}" for name in names if getattr(options, name) not in (None, False, (), [])]:
        raise InputError(f"{', '.join(given)}: is for {other}. Leave it out.")


def _predict_queue(options: argparse.Namespace) -> int:
    from pipelines.queue.supervisor import QueueRequest, predict_from_queue

    request = QueueRequest(
        options.workload,
        options.queue,
        options.out,
        options.release,
        options.consumers or 1,
        options.attempts or 3,
        options.drain,
        tuple(options.allow),
    )
    with _refusals_as_json(options):
        result = predict_from_queue(
            request, lambda line: print(line, file=sys.stderr if options.json else sys.stdout, flush=True)
        )
    if options.json:
        print(result.to_json())
    if result.error:
        print(f"trainyard: {result.error}", file=sys.stderr)
    return result.exit_code


def _predict_files(options: argparse.Namespace) -> int:
    from cli.display import run_display
    from pipelines.predict import PredictRequest, predict

    if "://" in options.out:
        raise InputError(f"--out {options.out}: must be a folder on this machine. Copy it on from there.")
    request = PredictRequest(
        options.workload,
        options.data,
        pathlib.Path(options.out),
        options.release,
        options.keys,
        options.format,
        options.overwrite,
        600.0 if options.wait is None else options.wait,
        tuple(options.beam),
    )
    with _refusals_as_json(options):
        return predict(request, run_display(options.json)).exit_code


@contextlib.contextmanager
def _refusals_as_json(options: argparse.Namespace) -> Iterator[None]:
    """With --json, prints an object even if the request is refused before there is a run."""
    try:
        yield
    except (WorkloadError, InputError, StoreError) as error:
        if options.json:
            from pipelines.runners.results import RunResult

            refused = RunResult(options.workload, "", status="failed", error=str(error), exit_code=exit_codes.FIX_INPUT)
            print(refused.to_json())
        raise
