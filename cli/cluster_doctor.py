"""`trainyard doctor --cluster`."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from cli import arguments
from cli.arguments import Commands
from spec import exit_codes

if TYPE_CHECKING:
    from pipelines.runners.kubeflow.doctor.checks import Finding


def add_commands(commands: Commands) -> None:
    """Adds the command; imports nothing heavy. Without --cluster it is the wrapper's, which needs no environment."""
    command = commands.add_parser(
        "doctor",
        help="check what this machine, or with --cluster a Kubernetes cluster, has and lacks",
        description="Without --cluster: this machine. With it: the cluster of kubeconfig's current context, which is read and "
        "not changed.",
        epilog="exit codes: 0 nothing to mend; 1 something could not be checked, or the cluster does not answer; "
        "2 something is to be mended",
    )
    command.add_argument("--cluster", action="store_true", help="look at a cluster instead of this machine")
    command.add_argument("--context", default="", help="of kubeconfig; default: the current one")
    command.add_argument(
        "--namespace", help="of the runs; default: api.namespace of the site, else the context's, else KFP's"
    )
    command.add_argument("--kfp-namespace", default="kubeflow", help="of KFP and Argo (kubeflow)")
    arguments.add_cluster(command)
    command.add_argument("--json", action="store_true", help="one JSON object")
    command.set_defaults(handler=_doctor)


def _doctor(options: argparse.Namespace) -> int:
    if not options.cluster:
        print("trainyard: this machine is looked at by the ./trainyard script; call it through that", file=sys.stderr)
        return exit_codes.FIX_INPUT
    from pipelines.runners.kubeflow.cluster.pools import load_pools
    from pipelines.runners.kubeflow.cluster.site import load_site
    from pipelines.runners.kubeflow.doctor.api import Kubernetes
    from pipelines.runners.kubeflow.doctor.checks import PROBLEM, UNCHECKED, Cluster, diagnose
    from pipelines.runners.kubeflow.watching import Unavailable

    site, pools = load_site(options.site), load_pools(options.pools)
    api = Kubernetes(options.context)
    namespace = options.namespace or site.api.namespace or api.namespace or options.kfp_namespace
    try:
        findings = diagnose(Cluster(api, site, pools, namespace, options.kfp_namespace))
    except Unavailable as error:
        print(f"trainyard: {error} Try again later.", file=sys.stderr)
        return exit_codes.MAY_RETRY
    problems = sum(one.state == PROBLEM for one in findings)
    unchecked = sum(one.state == UNCHECKED for one in findings)
    if options.json:
        checks = [dataclasses.asdict(one) for one in findings]
        print(json.dumps({"works": not problems, "unchecked": unchecked, "host": api.host, "checks": checks}, indent=2))
    else:
        print(_rendered(findings, problems, unchecked))
    if problems:
        return exit_codes.FIX_INPUT
    return exit_codes.MAY_RETRY if unchecked else exit_codes.OK


def _rendered(findings: Sequence[Finding], problems: int, unchecked: int) -> str:
    lines = []
    for one in findings:
        lines.append(f"{one.state:9}  {one.name:15}  {one.message}")
        if one.remedy:
            lines.append(f"{'':28}-> {one.remedy}")
    said = f"{problems} problem{'s' * (problems != 1)} to mend" if problems else "Nothing to mend"
    if unchecked:
        said += f"; {unchecked} could not be checked: ask with a user who may look"
    return "\n".join([*lines, "", f"{said}."])
