"""`trainyard submit` and `trainyard runs`: runs on Kubeflow, started, watched and ended from a terminal."""

from __future__ import annotations

import argparse
import functools
import itertools
import json
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from cli import arguments, terminal
from cli.arguments import Commands
from cli.compiling import add_cluster_options, cluster
from spec import exit_codes
from spec.errors import InputError

if TYPE_CHECKING:
    from pipelines.runners.kubeflow.client import Kubeflow
    from pipelines.runners.results import RunResult

_ACCESS = """\
where KFP is: api.host in kubeflow.yaml (--site, TRAINYARD_KUBEFLOW), or KF_PIPELINES_ENDPOINT.
the token: TRAINYARD_KUBEFLOW_TOKEN, or a file named by TRAINYARD_KUBEFLOW_TOKEN_FILE or api.token_file; never an option.
docs/guides/kubeflow.md has more."""
_EXIT_CODES = """\
exit codes: 0 started, or with --wait: succeeded; 1 the run failed or was ended, or KFP does not answer (may be tried
again); 2 mend the input: a parameter, the cluster's file, access; 130 you pressed Ctrl-C, and the run goes on."""


def add_commands(commands: Commands) -> None:
    _add_submit(commands)
    _add_runs(commands)


def _add_submit(commands: Commands) -> None:
    command = commands.add_parser(
        "submit",
        help="run a workload's training pipeline on Kubeflow",
        description="Compiles the workload as `trainyard compile` does, checks the parameters, starts a run in KFP and "
        "prints its id and its link. --wait shows the tasks until the run has ended. Files that the workload declares (assets) "
        "are put beside the artifacts first, if they are not there.",
        epilog="examples:\n  trainyard submit taxi --wait\n"
        "  trainyard submit taxi --span 12 --param epochs=40 --param learning_rate=0.01 --pool trainer=gke-l4\n"
        f"  trainyard submit taxi --wait --json | jq .status\n{_ACCESS}\n{_EXIT_CODES}",
    )
    command.add_argument("workload")
    command.add_argument("--span", type=arguments.span, help="newest span to train on; default: the newest there is")
    arguments.add_param(
        command,
        "a run parameter: epochs, batch_size, seed, force_retrain, or a hyper-parameter of the workload; or any other "
        "field of workload.yaml by its path, which is compiled in (training.early_stopping_patience=5)",
    )
    add_cluster_options(command)
    command.add_argument("--image", help="the pipeline image; else the site's")
    command.add_argument(
        "--experiment", metavar="NAME", help="KFP's experiment, made if missing; default: the workload"
    )
    command.add_argument("--name", help="the run's name; default: workload, span and code revision")
    _add_watching(command)
    command.set_defaults(handler=_answered(_submit))


def _add_runs(commands: Commands) -> None:
    command = commands.add_parser(
        "runs",
        help="list, show, resume and terminate runs on Kubeflow",
        description="Runs on Kubeflow, by anybody who may start some there. Runs on this machine lie in .trainyard/runs.",
        epilog="examples:\n  trainyard runs list --experiment taxi --limit 5\n  trainyard runs show RUN_ID --wait\n"
        f"  trainyard runs resume RUN_ID --wait\n  trainyard runs terminate RUN_ID\n{_ACCESS}",
    )
    actions = command.add_subparsers(title="actions", metavar="ACTION", required=True)

    listing = actions.add_parser("list", help="the newest runs and their states")
    listing.add_argument(
        "--experiment", metavar="NAME", help="of this experiment alone; `submit` names it like the workload"
    )
    listing.add_argument(
        "--limit", type=arguments.whole_number(0), default=20, metavar="N", help="how many (20); 0: all"
    )
    listing.add_argument("--json", action="store_true", help="a JSON list")

    showing = actions.add_parser(
        "show", help="a run's tasks, parameters, and what each failed task said; exit code 1 if it failed"
    )
    showing.add_argument("run_id")
    _add_watching(showing)

    resuming = actions.add_parser(
        "resume",
        help="start a run that goes on where another ended: its finished nodes come from the cache",
        description="Starts a run of the same compiled pipeline with the same parameters and span; what is done comes "
        "from the cache in seconds. For runs that failed or were terminated.",
    )
    resuming.add_argument("run_id")
    resuming.add_argument("--span", type=arguments.span, help="where the run's own cannot be read any more")
    _add_watching(resuming)

    ending = actions.add_parser("terminate", help="end a run; what its finished tasks made stays in the cache")
    ending.add_argument("run_id")

    for action, handler in ((listing, _list), (showing, _show), (resuming, _resume), (ending, _terminate)):
        arguments.add_site(action)
        action.set_defaults(handler=_answered(handler))


def _add_watching(command: argparse.ArgumentParser) -> None:
    command.add_argument("--wait", action="store_true", help="show the tasks until the run has ended; its exit code")
    command.add_argument(
        "--poll", type=arguments.seconds(3600), default=5.0, metavar="SECONDS", help="between two looks (5)"
    )
    arguments.add_json(command)


def _answered(handler: Callable[[argparse.Namespace], int]) -> Callable[[argparse.Namespace], int]:
    """Turns an API that does not answer into one line and exit code 1."""

    @functools.wraps(handler)
    def handle(options: argparse.Namespace) -> int:
        from pipelines.runners.kubeflow.watching import Unavailable

        try:
            return handler(options)
        except Unavailable as error:
            print(f"trainyard: {error} Try again later.", file=sys.stderr)
            return exit_codes.MAY_RETRY

    return handle


def _submit(options: argparse.Namespace) -> int:
    from pipelines.runners.kubeflow.grouping import Tasks
    from pipelines.runners.kubeflow.submit import SubmitRequest, plan, submit

    site, pools, chosen = cluster(options, "root")
    request = SubmitRequest(
        options.workload,
        site,
        pools,
        chosen,
        options.param,
        -1 if options.span is None else options.span,
        options.image,
        options.experiment,
        options.name,
        Tasks(options.tasks),
    )
    planned = plan(request)
    kubeflow = _connected(options)
    compiling = functools.partial(terminal.busy, f"compiling {options.workload}")
    run_id = submit(planned, kubeflow, compiling, lambda note: print(f"trainyard: {note}", file=sys.stderr))
    if options.wait:
        return _watch(run_id, kubeflow, options)
    if options.json:
        print(json.dumps({"run_id": run_id, "name": planned.name, "ui": kubeflow.link(run_id)}, indent=2))
        return exit_codes.OK
    print(f"{planned.name}: started")
    return _say_where(run_id, kubeflow)


def _say_where(run_id: str, kubeflow: Kubeflow) -> int:
    print(f"run       {run_id}\nlink      {kubeflow.link(run_id)}")
    print(f"next      trainyard runs show {run_id} --wait   (or: trainyard runs terminate {run_id})")
    return exit_codes.OK


def _list(options: argparse.Namespace) -> int:
    from pipelines.runners.kubeflow.watching import result_of

    kubeflow = _connected(options)
    found = itertools.islice(kubeflow.runs(options.experiment), options.limit or None)
    if options.json:
        print(json.dumps([_as_dict(run, result_of(run, kubeflow.link(run.run_id))) for run in found], indent=2))
        return exit_codes.OK
    rows = [("STARTED", "STATUS", "TOOK", "RUN", "NAME")]
    for run in found:
        result = result_of(run, "")
        rows.append(
            (_started(run), result.status, f"{result.seconds / 60:.0f} min", run.run_id, run.display_name or "")
        )
    if len(rows) == 1:
        print("no runs yet; `trainyard submit WORKLOAD` starts one")
        return exit_codes.OK
    terminal.print_table(rows)
    return exit_codes.OK


def _show(options: argparse.Namespace) -> int:
    from cli.display import component_line
    from pipelines.runners.kubeflow.watching import result_of

    kubeflow = _connected(options)
    if options.wait:
        return _watch(options.run_id, kubeflow, options)
    run = kubeflow.run(options.run_id)
    result = result_of(run, kubeflow.link(run.run_id))
    said = _said_by_failed_tasks(kubeflow, run)
    result.reasons = [f"{name}: {message}" for name, message in said.items()]
    if options.json:
        print(result.to_json())
        return result.exit_code
    given = (run.runtime_config and run.runtime_config.parameters) or {}
    print(f"{result.workload}: {result.status} after {result.seconds:.0f} s; started {_started(run)} UTC")
    if given:
        print("  ".join(["parameters", *(f"{key}={_plain(value)}" for key, value in sorted(given.items()))]))
    for component in result.components:
        print(component_line(component))
        if component.id in said:
            print(f"      {said[component.id]}")
    if result.error:
        print(f"error     {result.error}")
    print(f"run       {result.ui}")
    return result.exit_code


def _said_by_failed_tasks(kubeflow: Kubeflow, run: Any) -> dict[str, str]:
    """Name of each failed task -> its own message, from KFP's log; empty for a run that was terminated."""
    from pipelines.runners.kubeflow import messages, watching

    if watching.state_of(run) != "FAILED":
        return {}
    said = {
        name: messages.message(functools.partial(kubeflow.log, run.run_id), messages.pods_of(run, key))
        for key, name in watching.tasks_in(run, "FAILED").items()
    }
    return {name: message for name, message in said.items() if message}


def _resume(options: argparse.Namespace) -> int:
    from pipelines.runners.kubeflow.resume import resume

    kubeflow = _connected(options)
    made = resume(kubeflow, options.run_id, options.span)
    if made.span is None:
        print(
            "the span of that run cannot be read any more: this one takes the newest (--span N names one)",
            file=sys.stderr,
        )
    if options.wait:
        return _watch(made.run_id, kubeflow, options)
    if options.json:
        about = {"run_id": made.run_id, "name": made.name, "resumes": options.run_id, "ui": kubeflow.link(made.run_id)}
        print(json.dumps({**about, "span": made.span, "done_before": made.done}, indent=2))
        return exit_codes.OK
    nodes = "node is done and comes" if len(made.done) == 1 else "nodes are done and come"
    print(f"{made.name}: started; {len(made.done)} {nodes} from the cache")
    return _say_where(made.run_id, kubeflow)


def _terminate(options: argparse.Namespace) -> int:
    from pipelines.runners.kubeflow.watching import ended, result_of

    kubeflow = _connected(options)
    result = result_of(kubeflow.run(options.run_id), kubeflow.link(options.run_id))
    if ended(result):
        print(f"{options.run_id}: has ended already ({result.status})")
        return exit_codes.OK
    kubeflow.terminate(options.run_id)
    print(f"{options.run_id}: is being ended; `trainyard runs show {options.run_id} --wait` waits for it")
    return exit_codes.OK


def _watch(run_id: str, kubeflow: Kubeflow, options: argparse.Namespace) -> int:
    """Shows a run until it has ended; Ctrl-C stops watching and leaves the run alone."""
    from cli.display import run_display
    from pipelines.runners.kubeflow.watching import Unavailable, result_of, watch

    display = run_display(options.json)
    link = kubeflow.link(run_id)
    goes_on = (
        f"the run goes on. Watch it: trainyard runs show {run_id} --wait; end it: trainyard runs terminate {run_id}"
    )
    newest = [kubeflow.run(run_id)]

    def look() -> RunResult:
        newest[0] = kubeflow.run(run_id)
        return result_of(newest[0], link)

    display.started(result_of(newest[0], link), sys.stdout, sys.stderr)
    try:
        result = watch(look, display.changed, display.said, options.poll)
        result.reasons = [f"{name}: {said}" for name, said in _said_by_failed_tasks(kubeflow, newest[0]).items()]
    except KeyboardInterrupt:
        display.left()
        print(f"\n{goes_on}\n{link}", file=sys.stderr)
        return exit_codes.INTERRUPTED
    except (Unavailable, InputError) as error:
        display.left()
        raise type(error)(f"{error} {goes_on}.") from None
    display.ended(result)
    return result.exit_code


def _connected(options: argparse.Namespace) -> Kubeflow:
    from pipelines.runners.kubeflow.client import Kubeflow
    from pipelines.runners.kubeflow.cluster.site import load_site

    return Kubeflow(load_site(options.site).api)


def _started(run: Any) -> str:
    from pipelines.runners.kubeflow.watching import moment

    began = moment(run.created_at)
    return f"{began:%Y-%m-%d %H:%M}" if began else "-"


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _as_dict(run: Any, result: RunResult) -> dict[str, Any]:
    """A run as an item of the JSON list."""
    given = (run.runtime_config and run.runtime_config.parameters) or {}
    kept = {key: getattr(result, key) for key in ("run_id", "status", "seconds", "error", "ui")}
    return {"name": result.workload, "started": _started(run), **kept, "parameters": given}
