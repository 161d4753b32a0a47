"""`trainyard skew`."""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import json
import os
import pathlib

from cli import arguments
from cli.arguments import Commands
from spec import environment as env
from spec import exit_codes, home
from spec.errors import InputError


def add_commands(commands: Commands) -> None:
    command = commands.add_parser(
        "skew",
        help="what a served model is asked, against what it was trained on",
        description="Compares the model server's record of requests (`trainyard serve --record`) with the training data of the "
        "release that answered them, column by column, and its answers with those on the test split. Limits are quality.skew in "
        "workload.yaml. The result goes into the history of data quality and onto the pages.",
        epilog="exit code 2: a critical limit was exceeded.\nexamples:\n  trainyard skew taxi --record /srv/record\n"
        "  trainyard skew taxi --since 24h --release canary --json",
    )
    command.add_argument("workload")
    command.add_argument(
        "--record", type=pathlib.Path, metavar="DIR", help=f"the model server's record (default: {env.RECORD})"
    )
    command.add_argument("--release", default="stable", help="label or version whose answers are looked at (stable)")
    command.add_argument(
        "--since", type=arguments.period, metavar="PERIOD", help="only requests of the last 45m, 24h or 7d"
    )
    command.add_argument("--json", action="store_true", help="the validation as JSON on stdout")
    command.set_defaults(handler=_skew)


def _skew(options: argparse.Namespace) -> int:
    from pipelines.runners import noise
    from pipelines.training_examples import training_examples
    from quality.history import Outcome
    from quality.monitoring import SkewRequest, check_skew, save

    record = options.record or os.environ.get(env.RECORD)
    if not record:
        raise InputError(
            f"--record names no folder, and {env.RECORD} is not set. It is where `trainyard serve --record` writes."
        )
    since = None if options.since is None else datetime.datetime.now(datetime.UTC) - options.since
    with noise.to_log(home.home() / "monitoring" / "log.txt"):  # the first look at a release loads TensorFlow
        request = SkewRequest(options.workload, pathlib.Path(record), options.release, since)
        validation = check_skew(request, training_examples)
    page = save(validation)
    if options.json:
        print(json.dumps({**dataclasses.asdict(validation), "page": str(page)}, ensure_ascii=False, default=str))
    else:
        print(f"{validation.workload}: {validation.headline}")
        for check in validation.checks:
            if not check.passes:
                print(f"  {check.severity:<8} {check.words}")
        print(f"report    data_quality_page: {page}")
    return exit_codes.FIX_INPUT if validation.outcome is Outcome.FAILED else exit_codes.OK
