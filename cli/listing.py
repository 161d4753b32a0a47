"""`trainyard list`."""

from __future__ import annotations

import argparse
import sys

from cli import terminal
from cli.arguments import Commands
from model_store import ModelStore, StoreError
from spec import home
from spec.workload import WorkloadError, load_workload, workload_names


def add_commands(commands: Commands) -> None:
    command = commands.add_parser("list", help="the workloads, their task and stable release")
    command.set_defaults(handler=_list)


def _list(options: argparse.Namespace) -> int:
    root = home.workloads_root()
    store = ModelStore(home.store_uri())
    rows, damaged = [("WORKLOAD", "TASK", "STABLE", "OWNER", "DESCRIPTION")], []
    models = set(store.models())
    for name in workload_names(root):
        try:
            workload = load_workload(root / name)
        except WorkloadError as error:
            rows.append((name, "broken", "", "", str(error).splitlines()[0]))
            continue
        try:
            stable = str(store.labels(name).get("stable", "-")) if name in models else "-"
        except StoreError as error:
            stable = "damaged"
            damaged.append(str(error))
        rows.append((name, str(workload.task), stable, workload.owner, workload.description))
    terminal.print_table(rows)
    for problem in damaged:
        print(f"trainyard: {problem}", file=sys.stderr)
    return 0
