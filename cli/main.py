"""The command line. Imports what the chosen command needs, and only then: `--help` answers at once."""

from __future__ import annotations

import argparse
import gc
import os
import pathlib
import sys
from collections.abc import Sequence

from cli import terminal
from model_store import StoreError
from pipelines import parameters
from spec import environment as env
from spec import exit_codes, home
from spec.errors import InputError, TryAgainError, machine_trouble, one_line
from spec.workload import WorkloadError

_EPILOG = """\
exit codes: 0 done; 2 mend the input (the message says how), trying again finds the same; 1 may be tried again.
state lies in .trainyard/ (TRAINYARD_HOME), the model store in .trainyard/models (TRAINYARD_STORE).
"""


def main(arguments: Sequence[str] | None = None) -> int:
    terminal.prepare()
    try:
        code = _run_command(list(sys.argv[1:] if arguments is None else arguments))
        sys.stdout.flush()  # here, where a reader who has gone away is no error
        return code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return exit_codes.OK


def _run_command(arguments: list[str]) -> int:
    if odd := next((one for one in arguments if not terminal.is_text(one)), None):
        print(f"trainyard: {odd}: an argument is not UTF-8. Rename the file, or write it anew.", file=sys.stderr)
        return exit_codes.FIX_INPUT
    parser = _parser()
    options = _parse(parser, arguments)
    if not hasattr(options, "handler"):
        parser.print_help()
        return exit_codes.OK
    try:
        return int(options.handler(options))
    except (InputError, StoreError) as error:
        print(f"trainyard: {error}", file=sys.stderr)
        return exit_codes.FIX_INPUT
    except TryAgainError as error:
        print(f"trainyard: {error}", file=sys.stderr)
        return exit_codes.MAY_RETRY
    except KeyboardInterrupt:
        return exit_codes.INTERRUPTED
    except BrokenPipeError:
        raise
    except Exception as error:
        if options.debug:
            raise
        if trouble := machine_trouble(error):
            print(f"trainyard: {trouble}", file=sys.stderr)
            return exit_codes.FIX_INPUT
        message = one_line(error)
        print(f"trainyard: {type(error).__name__}: {message} (--debug shows where)", file=sys.stderr)
        return exit_codes.MAY_RETRY


def _parse(parser: argparse.ArgumentParser, arguments: list[str]) -> argparse.Namespace:
    """What comes after `serve` is the model server's, options too; argparse would take an option there for its own."""
    command = next((i for i, argument in enumerate(arguments) if not argument.startswith("-")), len(arguments))
    if arguments[command : command + 1] != ["serve"]:
        return parser.parse_args(arguments)
    options = parser.parse_args(arguments[: command + 1])
    options.rest = arguments[command + 1 :]
    return options


def _parser() -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = terminal.Parser(
        prog="trainyard",
        description="TFX pipelines that run the same on a laptop, on Kubeflow and from Airflow.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--debug", action="store_true", help="show the traceback of an unexpected error")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    _add_list(commands)
    _add_run(commands)
    _add_predict(commands)
    _add_kubeflow(commands)
    _add_new(commands)
    _add_remove(commands)
    _add_data(commands)
    _add_quality(commands)
    _add_reports(commands)
    _add_skew(commands)
    _add_release(commands)
    _add_serve(commands)
    _add_housekeeping(commands)
    _add_platform(commands)
    _add_bench(commands)
    _add_elsewhere(commands)
    return parser


def _add_list(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser("list", help="the workloads, their task and stable release")
    command.set_defaults(handler=_list)


def _list(options: argparse.Namespace) -> int:
    from model_store import ModelStore
    from spec.workload import load_workload, workload_names

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
    return exit_codes.OK


def _add_run(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser(
        "run",
        help="run a workload's training pipeline on this machine",
        description="Ingests, validates, transforms, trains, evaluates against thresholds and champion, checks that the "
        "exported model answers, and publishes a release if every gate is passed. What has not changed comes from the cache.",
        epilog="examples:\n  trainyard run taxi\n  trainyard run taxi --span 2 --param training.epochs=3 --param learning_rate=0.01\n"
        "  trainyard run taxi --json | jq .metrics.auc",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("workload")
    command.add_argument("--span", type=parameters.span, help="newest span to train on; default: the newest there is")
    parameters.add_option(
        command, "a field of workload.yaml by its path (training.epochs=3), or a hyper-parameter (learning_rate=0.01)"
    )
    _add_beam(command)
    command.add_argument("--json", action="store_true", help="one JSON object on stdout, progress on stderr")
    command.add_argument(
        "--wait",
        type=parameters.seconds,
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


def _add_beam(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--beam",
        action="append",
        default=[],
        metavar="KEY[=VALUE]",
        help="an option of Apache Beam, e.g. runner=FlinkRunner; repeat it for more. Default: this process, or what "
        "workload.yaml says (docs/guides/scaling.md)",
    )


def _run(options: argparse.Namespace) -> int:
    from pipelines.results import RunResult
    from pipelines.run import RunRequest, run

    request = RunRequest(
        options.workload,
        options.span,
        tuple(options.param),
        options.wait,
        tuple(options.beam),
        tuple(dict.fromkeys(options.until)),
    )
    try:
        return run(request, terminal.run_display(options.json)).exit_code
    except WorkloadError as error:
        if options.json:  # refused before there was a run: its reader gets an object all the same
            print(
                RunResult(
                    options.workload, "", status="failed", error=str(error), exit_code=exit_codes.FIX_INPUT
                ).to_json()
            )
        raise


def _add_predict(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser(
        "predict",
        help="predict for raw files with a release (batch inference)",
        description="Reads raw files by the columns that the release takes (the label may be there and is not read), and writes "
        "a folder: predictions-*.parquet, failed.parquet (each row without a prediction, with the reason) and index.json.",
        epilog="examples:\n  trainyard predict taxi --data new_trips.csv --out predictions\n"
        "  trainyard predict churn --data 's3://bucket/2026-11/*.parquet' --format parquet --keys customer_id --out out",
        formatter_class=argparse.RawDescriptionHelpFormatter,
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
    _add_beam(command)
    command.add_argument("--json", action="store_true", help="one JSON object on stdout, progress on stderr")
    command.add_argument(
        "--wait", type=parameters.seconds, default=600, metavar="SECONDS", help="how long to wait for another (600)"
    )
    command.set_defaults(handler=_predict)


def _predict(options: argparse.Namespace) -> int:
    from pipelines.predict import PredictRequest, predict
    from pipelines.results import RunResult

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
    try:
        return predict(request, terminal.run_display(options.json)).exit_code
    except (InputError, StoreError) as error:
        if options.json:
            print(
                RunResult(
                    options.workload, "", status="failed", error=str(error), exit_code=exit_codes.FIX_INPUT
                ).to_json()
            )
        raise


def _add_kubeflow(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    from cli import cluster_doctor as doctor
    from cli import compiling
    from cli import kubeflow_runs as runs_cli

    compiling.add_command(commands)
    runs_cli.add_commands(commands)
    doctor.add_command(commands)


def _add_new(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    from cli import scaffold

    scaffold.add_command(commands)


def _add_remove(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    from cli import removal

    removal.add_command(commands)


def _add_data(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser(
        "data",
        help="lay out a span of a workload's data set in the landing folder",
        description="Puts one span of the data set that workload.yaml names (data.dataset) into the landing folder, where a "
        "running platform notices it and retrains.",
    )
    command.add_argument("workload")
    command.add_argument("--span", type=parameters.span, required=True)
    command.set_defaults(handler=_data)


def _data(options: argparse.Namespace) -> int:
    from pipelines import datasets
    from pipelines.run import find_workload

    workload, _ = find_workload(options.workload)
    if not workload.data.dataset:
        raise WorkloadError(
            f"{workload.name}: workload.yaml names no data.dataset; put its files into {home.data_root() / workload.name} yourself"
        )
    print(datasets.prepare(workload.data.dataset, options.span, home.data_root() / workload.name))
    return exit_codes.OK


def _add_quality(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    from cli import quality

    quality.add_command(commands)


def _add_reports(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    from cli import reports

    reports.add_command(commands)


def _add_skew(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    from cli import skew as monitoring

    monitoring.add_command(commands)


def _add_release(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser(
        "release",
        help="list, show, verify, promote and roll back releases",
        description="The model store. A run publishes a version; which one users get is what the label stable says, and only "
        "promote and rollback (or the deploy DAG) move it.",
        epilog="examples:\n  trainyard release list taxi\n  trainyard release promote taxi 2 --reason 'better on card trips'\n"
        "  trainyard release rollback taxi",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = command.add_subparsers(title="actions", metavar="ACTION", required=True)
    from cli import releases

    releases.add_actions(actions)


def _add_serve(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser(
        "serve",
        help="serve the released models (TensorFlow Serving's REST and gRPC APIs)",
        add_help=False,
    )
    command.set_defaults(handler=_serve)


def _serve(options: argparse.Namespace) -> int:
    python = home.environment_python("serving")
    arguments = list(options.rest)
    models = []
    while arguments and not arguments[0].startswith("-"):  # `serve taxi digits` names models
        models += ["--model", arguments.pop(0)]
    if "--store" not in arguments and "-h" not in arguments and "--help" not in arguments:
        arguments += ["--store", home.store_uri()]
    # Its --help and errors speak of the command that was given.
    os.environ[env.PROGRAM] = "trainyard serve"
    os.execv(python, [str(python), "-P", "-m", "serving", *models, *arguments])


def _add_housekeeping(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    from cli.housekeeping import add_command

    add_command(commands)


def _add_platform(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    from cli.embedded import add_commands

    add_commands(commands)


def _add_bench(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    from benchmarks.pipeline.cli import add_command

    add_command(commands)


def _add_elsewhere(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Commands of the wrapper script, listed so that --help is complete."""
    for name, text in (
        ("test", "run the tests"),
        ("setup", "make the Python environments now"),
        ("airflow", "Airflow's own CLI against the embedded platform"),
    ):
        commands.add_parser(name, help=text, add_help=False).set_defaults(handler=_only_wrapper)


def _only_wrapper(options: argparse.Namespace) -> int:
    print("trainyard: this command belongs to the ./trainyard script; call it through that", file=sys.stderr)
    return exit_codes.FIX_INPUT


if __name__ == "__main__":
    code = main()
    # Before it ends, the interpreter looks for garbage among all that TensorFlow and TFX have made: six seconds without this.
    gc.freeze()
    sys.exit(code)
