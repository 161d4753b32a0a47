"""`trainyard skew`."""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import json

from cli import arguments
from cli.arguments import Commands
from model_store import ModelStore
from spec import exit_codes, home


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
    arguments.add_record(command)
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
    from quality.monitoring import SkewRequest, check_skew, drift_series, save, tell_server

    record = arguments.record_of(options)
    version = ModelStore(home.store_uri()).resolve(options.workload, options.release).version
    since = None if options.since is None else datetime.datetime.now(datetime.UTC) - options.since
    with noise.to_log(home.home() / "monitoring" / "log.txt"):  # the first look at a release loads TensorFlow
        request = SkewRequest(options.workload, record, str(version), since)
        validation = check_skew(request, training_examples)
    page = save(validation)
    tell_server(record, options.workload, "skew", drift_series(validation, version))
    if options.json:
        print(json.dumps({**dataclasses.asdict(validation), "page": str(page)}, ensure_ascii=False, default=str))
    else:
        print(f"{validation.workload}: {validation.headline}")
        for check in validation.checks:
            if not check.passes:
                print(f"  {check.severity:<8} {check.words}")
        print(f"report    data_quality_page: {page}")
    return exit_codes.FIX_INPUT if validation.outcome is Outcome.FAILED else exit_codes.OK
