"""`trainyard data`."""

from __future__ import annotations

import argparse

from cli import arguments
from cli.arguments import Commands
from spec import home
from spec.workload import WorkloadError, find_workload


def add_commands(commands: Commands) -> None:
    command = commands.add_parser(
        "data",
        help="lay out a span of a workload's data set in the landing folder",
        description="Puts one span of the data set that workload.yaml names (data.dataset) into the landing folder, where a "
        "running platform notices it and retrains.",
    )
    command.add_argument("workload")
    command.add_argument("--span", type=arguments.span, required=True)
    command.set_defaults(handler=_data)


def _data(options: argparse.Namespace) -> int:
    from pipelines import datasets

    workload, _ = find_workload(options.workload)
    if not workload.data.dataset:
        raise WorkloadError(
            f"{workload.name}: workload.yaml names no data.dataset; put its files into {home.data_root() / workload.name} yourself"
        )
    print(datasets.prepare(workload.data.dataset, options.span, home.data_root() / workload.name))
    return 0
