"""`trainyard tune`."""

from __future__ import annotations

import argparse
import json
import pathlib
import sys
from collections.abc import Mapping
from typing import Any

from cli import arguments
from cli.arguments import Commands
from spec import exit_codes
from spec.errors import InputError
from spec.workload import Training, find_workload

_SHOWN = 10
_EXAMPLE = "{trials: 20, space: {learning_rate: {type: float, low: 0.0001, high: 0.1, log: true}}}"


def add_commands(commands: Commands) -> None:
    command = commands.add_parser(
        "tune",
        help="search hyper-parameters, and write the best into workload.yaml",
        description="Runs a workload's pipeline up to its Tuner, which tries what `training.search` in workload.yaml says, on a "
        "part of train: eval and test know nothing of the choice. Shows the trials, and writes the winner's values into "
        "workload.yaml if you agree; its comments stay. A search that was killed goes on when it is started again, and one "
        "that nothing has changed for comes from the cache. `trainyard run` searches, too, where workload.yaml has the section.",
        epilog=f"""examples:
  trainyard tune taxi
  trainyard tune taxi --param training.search.trials=50 --param training.search.parallel=2
  trainyard tune digits --param 'training.search={_EXAMPLE}'
  trainyard tune taxi --yes                                  # do not ask
the section, below `training:` in workload.yaml (docs/guides/search.md):
  search:
    trials: 20
    space:
      learning_rate: {{type: float, low: 0.0001, high: 0.1, log: true}}
      hidden_units: {{type: int, low: 16, high: 128, step: 16}}
      optimizer: {{type: categorical, choices: [adam, sgd]}}
      momentum: {{type: float, low: 0.0, high: 0.99, when: {{optimizer: sgd}}}}""",
    )
    command.add_argument("workload")
    command.add_argument("--yes", action="store_true", help="write without asking")
    command.add_argument("--span", type=arguments.span, help="newest span to search on; default: the newest there is")
    arguments.add_param(command, "a field of workload.yaml by its path, for this search (training.search.trials=50)")
    arguments.add_beam(command)
    arguments.add_json(command)
    command.add_argument(
        "--wait", type=arguments.wait, default=600, metavar="SECONDS", help="how long to wait for another run (600)"
    )
    command.set_defaults(handler=_tune)


def _tune(options: argparse.Namespace) -> int:
    from cli.display import run_display
    from components.searched import JOURNAL_FILE
    from components.tuner.record import RECORD
    from pipelines import parameters, workload_file
    from pipelines.run import RunRequest, run

    workload, folder = find_workload(options.workload)
    file = folder / "workload.yaml"
    if parameters.apply(workload, options.param, file).training.search is None:
        raise InputError(
            f"is missing; it says what to try. For example: search: {_EXAMPLE}", file=file, field="training.search"
        )
    request = RunRequest(
        options.workload, options.span, tuple(options.param), options.wait, tuple(options.beam), (RECORD.id,)
    )
    result = run(request, run_display(options.json))
    if result.exit_code or result.search is None:
        return result.exit_code
    record = pathlib.Path(result.search["record"])
    out = sys.stderr if options.json else sys.stdout
    print("\n".join(trial_lines(json.loads(record.read_text(encoding="utf-8")))), file=out)
    changes = changed(workload.training, result.search["values"])
    if not changes:
        print(f"unchanged {file} has these values", file=out)
    elif options.yes or _agreed(file):
        workload_file.write(file, {("training", *workload.training.path_of(n)): value for n, value in changes.items()})
        print(f"written   {file}: {', '.join(changes)}", file=out)
    print(f"look      uvx optuna-dashboard {record.parent / JOURNAL_FILE}", file=out)
    return exit_codes.OK


def changed(training: Training, values: Mapping[str, Any]) -> dict[str, Any]:
    """The winner's values that workload.yaml does not have."""
    return {
        name: value
        for name, value in values.items()
        if training.value_of(name) != value
        or (training.path_of(name)[0] == "hyperparameters" and name not in training.hyperparameters)
    }


def trial_lines(record: Mapping[str, Any]) -> list[str]:
    """The best trials of a search as a table."""
    from components import searched

    names, best = [*record["space"]], searched.best_first(record["trials"], record["lower_is_better"])
    rows = [["trial", record["metric"], "epochs", *names, ""]]
    for one in best[:_SHOWN]:
        values = [searched.value_in_words(one["values"].get(name, "")) for name in names]
        rows.append([str(one["number"]), f"{one['value']:.4f}", str(one["epochs"]), *values, one["state"]])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    hidden = len(record["trials"]) - len(rows) + 1
    return [*lines, f"and {hidden} more, in the record" if hidden else ""][: len(lines) + bool(hidden)]


def _agreed(file: pathlib.Path) -> bool:
    if not sys.stdin.isatty():
        print(f"trainyard: {file} was left as it is; nobody is here to ask. Add --yes.", file=sys.stderr)
        return False
    return input(f"Write the best values into {file}? [y/N] ").strip().lower() in ("y", "yes")
