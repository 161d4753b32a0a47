"""`trainyard up`, `demo`, `status` and `down`: the platform on this machine."""

from __future__ import annotations

import argparse

from cli import arguments
from cli.arguments import Commands

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


def add_commands(commands: Commands) -> None:
    up = commands.add_parser("up", help="start Airflow and the model server, and keep them running", description=_UP)
    ports = (
        ("airflow", "Airflow's UI", 8080),
        ("rest", "the model server's REST API", 8501),
        ("grpc", "its gRPC API", 8500),
        ("reports", "the reports", 8088),
    )
    for name, what, usual in ports:
        up.add_argument(
            f"--{name}-port",
            type=arguments.whole_number(1, 65_535),
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
    up.set_defaults(handler=_up)
    for name, help, description in (
        ("demo", "the whole loop on real data, in a few minutes", _DEMO),
        ("status", "what of the platform runs, and how it is", _STATUS),
        ("down", "stop the platform", _DOWN),
    ):
        commands.add_parser(name, help=help, description=description).set_defaults(handler=_run, command=name)


# Imports are inside the handlers: --help of another command must not wait for them.
def _up(options: argparse.Namespace) -> int:
    from embedded.commands import up

    ports = (options.airflow_port, options.rest_port, options.grpc_port, options.reports_port)
    return up(*ports, tuple(options.workload), options.database)


def _run(options: argparse.Namespace) -> int:
    from embedded import commands, demonstration

    return {"demo": demonstration.demo, "status": commands.status, "down": commands.down}[options.command]()
