"""Finding a workload of this machine by its name."""

from __future__ import annotations

import pathlib

from spec import home
from spec.workload._workload import Workload, WorkloadError, load_workload, workload_names


def find_workload(name: str) -> tuple[Workload, pathlib.Path]:
    """A workload and its folder.

    Raises:
        WorkloadError: there is none of that name, or its workload.yaml is not valid.
    """
    root = home.workloads_root()
    known = workload_names(root)
    if name not in known:
        raise WorkloadError(
            f"there is no workload {name!r} in {root}. Known: {', '.join(known) or 'none'}. `trainyard new` makes one."
        )
    return load_workload(root / name), root / name
