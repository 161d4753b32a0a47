"""What a TrainJob may say: the CRD of Kubeflow Trainer, and two rules that are not in its schema.

A cluster drops fields that it does not know without a word; here they are errors.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tests.deploy.crds import vendored as crds

_NAME = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")


def problems(job: Mapping[str, Any]) -> list[str]:
    """Everything that is wrong with a TrainJob, a line each."""
    found = crds.problems(dict(job))
    if not _NAME.fullmatch(job["metadata"].get("name", "")):
        found.append(
            "metadata.name: its pods are named after it, so it has to be a DNS label that begins with a letter"
        )
    if found:
        return found
    # The Trainer's webhook: the environment of this container is spec.trainer's.
    return [f"{one['name']}: env" for one in pod_template(job)["spec"]["containers"] if "env" in one]


def pod_template(job: Mapping[str, Any]) -> dict[str, Any]:
    """What a TrainJob says of its pods besides the trainer's section."""
    (patch,) = job["spec"]["runtimePatches"]
    (replicated,) = patch["trainingRuntimeSpec"]["template"]["spec"]["replicatedJobs"]
    found: dict[str, Any] = replicated["template"]["spec"]["template"]
    return found
