"""`trainyard compile`."""

from __future__ import annotations

import argparse
import pathlib
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

from cli import arguments, terminal
from cli.arguments import Commands
from spec import exit_codes
from spec.errors import InputError
from spec.workload import find_workload

if TYPE_CHECKING:
    from pipelines.runners.kubeflow.cluster.pools import Pool
    from pipelines.runners.kubeflow.cluster.site import ClusterSite


def add_commands(commands: Commands) -> None:
    command = commands.add_parser(
        "compile",
        help="compile a workload's training pipeline for Kubeflow Pipelines",
        description="Writes a KFP v2 pipeline (schema 2.1.0, with its platform document): one container task for each node of "
        "the graph that `trainyard run` runs here, or for each group of them (--tasks grouped). The same input gives the same bytes.",
        epilog="examples:\n  trainyard compile taxi -o taxi.yaml --check\n"
        "  trainyard compile taxi -o taxi.yaml --pool trainer=gke-l4 --image registry.example.com/trainyard:1.4\n"
        "the cluster (image, object store, metadata store, Secrets): --site FILE, or TRAINYARD_KUBEFLOW; "
        "docs/guides/kubeflow.md",
    )
    command.add_argument("workload")
    command.add_argument("-o", "--output", required=True, metavar="FILE", help="where to write it; - for stdout")
    add_cluster_options(command)
    command.add_argument("--image", help="default of the run parameter image; else the site's")
    arguments.add_param(command, "as `trainyard run --param`; becomes the default of the run parameter")
    command.add_argument(
        "--span",
        type=arguments.span,
        help="default of the run parameter span; else the newest there is when a run starts",
    )
    command.add_argument(
        "--fixed-image", action="store_true", help="write the image down instead of making it a parameter"
    )
    command.add_argument(
        "--stage-assets",
        action="store_true",
        help="put the files that the workload declares (assets) where its pods look for them, as submit does",
    )
    command.add_argument("--check", action="store_true", help="lint what was compiled; exit 2 if anything is found")
    command.set_defaults(handler=_compile)


def add_cluster_options(command: argparse.ArgumentParser) -> None:
    """Adds what compile and submit need to know about a cluster."""
    arguments.add_cluster(command)
    command.add_argument("--root", help="where artifacts go; else the site's")
    command.add_argument(
        "--pool", action="append", default=[], metavar="COMPONENT=POOL", help="a component's pool, e.g. trainer=a100"
    )
    command.add_argument(
        "--tasks",
        choices=["each", "grouped"],
        default="each",
        help="a pod for each node, or one for neighbours on the same pool, which saves the start of most pods; default: each",
    )


def _compile(options: argparse.Namespace) -> int:
    from pipelines import columns, parameters

    # Refuse what can be refused before seconds of imports.
    workload, folder = find_workload(options.workload)
    where = folder / "workload.yaml"
    workload, notes = columns.fit(parameters.apply(workload, options.param, where), where)
    site, pools, chosen = cluster(options, "image", "root")
    if options.stage_assets:
        from pipelines.runners.kubeflow.assets import stage

        notes = [*notes, *stage(workload.assets, site)]
    for note in notes:
        print(f"trainyard: {note}", file=sys.stderr)
    span = -1 if options.span is None else options.span

    with terminal.busy(f"compiling {options.workload}"):
        from components import lazy_imports

        lazy_imports.install()
        from pipelines.runners.kubeflow.compiler import CompileRequest, compile_workload
        from pipelines.runners.kubeflow.grouping import Tasks
        from pipelines.runners.kubeflow.lint import lint

        tasks = Tasks(options.tasks)
        text = compile_workload(
            CompileRequest(options.workload, site, pools, chosen, options.param, span, options.fixed_image, tasks)
        )
    if options.output == "-":
        print(text, end="")
    else:
        _write(pathlib.Path(options.output), text)
    findings = lint(text) if options.check else []
    for finding in findings:
        print(f"trainyard: {options.output}: {finding}", file=sys.stderr)
    return exit_codes.FIX_INPUT if findings else exit_codes.OK


def cluster(options: argparse.Namespace, *fields: str) -> tuple[ClusterSite, Mapping[str, Pool], dict[str, str]]:
    """The cluster that the options describe: site, pools by name, and pool by component.

    Args:
        fields: of the site, to be replaced by the options of the same name.
    """
    from pipelines.runners.kubeflow.cluster.pools import load_pools
    from pipelines.runners.kubeflow.cluster.site import load_site

    changes = {field: value for field in fields if (value := getattr(options, field))}
    return load_site(options.site, **changes), load_pools(options.pools), _assignments(options.pool)


def _assignments(texts: list[str]) -> dict[str, str]:
    """Component -> pool, from `--pool`."""
    found = {}
    for text in texts:
        component, separator, pool = text.partition("=")
        if not separator or not component or not pool:
            raise InputError(f"--pool {text!r}: expected COMPONENT=POOL, e.g. trainer=a100.")
        found[component] = pool
    return found


def _write(path: pathlib.Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}. Name another place with -o.") from error
    print(path)
