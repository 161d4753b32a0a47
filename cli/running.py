"""`trainyard run` and `trainyard predict`."""

from __future__ import annotations

import argparse
import contextlib
import pathlib
from collections.abc import Iterator

from cli import arguments, several
from cli.arguments import Commands
from model_store import StoreError
from spec import exit_codes
from spec.errors import InputError
from spec.workload import WorkloadError


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
        help="predict for raw files with a release (batch inference)",
        description="Reads raw files by the columns that the release takes (the label may be there and is not read), and writes "
        "a folder: predictions-*.parquet, failed.parquet (each row without a prediction, with the reason) and index.json.",
        epilog="examples:\n  trainyard predict taxi --data new_trips.csv --out predictions\n"
        "  trainyard predict churn --data 's3://bucket/2026-11/*.parquet' --format parquet --keys customer_id --out out",
    )
    command.add_argument("workload")
    command.add_argument("--data", required=True, metavar="URI", help="a file, a folder, a glob pattern or a URL")
    command.add_argument("--out", required=True, metavar="DIR", help="folder that appears when all is written")
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
    command.add_argument(
        "--wait", type=arguments.wait, default=600, metavar="SECONDS", help="how long to wait for another (600)"
    )
    command.set_defaults(handler=_predict)


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
        options.wait,
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
