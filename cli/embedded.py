"""The commands `up`, `demo`, `status` and `down` for the trainyard command line."""

from __future__ import annotations

import argparse
from typing import Any

_UP = """\
Starts Airflow, the model server and the reports' pages on this machine and keeps them running. Prints their addresses
and, the first time, the password. What dies is started again. Ctrl-C, or `trainyard down` from another terminal, ends every process.
State (runs, releases, Airflow's database, the password) stays in .trainyard/ and is there again next time.

example:
  ./trainyard up
  cp -r my-new-data .trainyard/data/taxi/.span-3 && mv .trainyard/data/taxi/.span-3 .trainyard/data/taxi/span-3
                                     # Airflow notices the span and starts retrain_taxi, then deploy_taxi
"""
_DEMO = """\
The whole loop on the taxi data in a few minutes, in a home of its own (.trainyard/demo/, wiped at the start): starts
Airflow and the model server, lets a first span of data land, watches Airflow train, judge, release and deploy, asks the
model server for a prediction, lets a second span land, and watches the new model being held against the one in service.
Stops everything that it started and exits with 0; if a step fails, it names the task, shows its log and exits with 1.

example:
  ./trainyard demo
"""
_STATUS = """\
Shows each process of the platform, its health, its log and the addresses. Exits with 0 when all of it is healthy.

example:
  ./trainyard status
"""
_DOWN = """\
Stops the platform that `trainyard up` started, from any terminal. Also ends what is left when the supervisor itself was
killed. Data, releases and reports stay.

example:
  ./trainyard down
"""


def add_commands(subparsers: Any) -> None:
    """Registers the four commands; each sets `handler`, which takes the parsed arguments and returns the exit code."""
    up = _command(subparsers, "up", "start Airflow and the model server, and keep them running", _UP)
    ports = (
        ("airflow", "Airflow's UI", 8080),
        ("rest", "the model server's REST API", 8501),
        ("grpc", "its gRPC API", 8500),
        ("reports", "the reports", 8088),
    )
    for name, what, usual in ports:
        up.add_argument(
            f"--{name}-port",
            type=_port,
            metavar="PORT",
            help=f"loopback port of {what} (default: {usual}, or a free one where that is taken)",
        )
    up.add_argument(
        "--workload", action="append", default=[], metavar="NAME", help="only this workload's DAGs; repeatable"
    )
    up.add_argument(
        "--database",
        metavar="URL",
        help="Airflow's database: postgresql://user@host:5432/name (the password in PGPASSWORD or ~/.pgpass), or sqlite "
        "(default: TRAINYARD_AIRFLOW_DATABASE, else what this home used last, else sqlite)",
    )
    up.set_defaults(handler=_run_up)
    _command(subparsers, "demo", "the whole loop on real data, in a few minutes", _DEMO).set_defaults(handler=_run_demo)
    _command(subparsers, "status", "what of the platform runs, and how it is", _STATUS).set_defaults(
        handler=_run_status
    )
    _command(subparsers, "down", "stop the platform", _DOWN).set_defaults(handler=_run_down)


def _command(subparsers: Any, name: str, summary: str, text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = subparsers.add_parser(
        name, help=summary, description=text, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    return parser


def _port(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"a port is a number from 1 to 65535. Received: {text!r}")
    return int(text)


# The commands import what they need when they run: --help of another command must not wait for it.
def _run_up(arguments: argparse.Namespace) -> int:
    from embedded.commands import up

    ports = (arguments.airflow_port, arguments.rest_port, arguments.grpc_port, arguments.reports_port)
    return up(*ports, tuple(arguments.workload), arguments.database)


def _run_demo(arguments: argparse.Namespace) -> int:
    from embedded.demonstration import demo

    return demo()


def _run_status(arguments: argparse.Namespace) -> int:
    from embedded.commands import status

    return status()


def _run_down(arguments: argparse.Namespace) -> int:
    from embedded.commands import down

    return down()
