"""What Kubeflow's UI shows of the champion."""

from __future__ import annotations

from components.outputs import Outputs, Shown


def shown(made: Outputs) -> dict[str, Shown]:
    version = made.property("champion", "champion_version")
    known = {"location": made.uri("champion"), "version": version} if version else {"note": "no stable release yet"}
    return {"champion": Shown(known)}
