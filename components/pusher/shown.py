"""What Kubeflow's UI shows of the release."""

from __future__ import annotations

from components.outputs import Outputs, Shown


def shown(made: Outputs) -> dict[str, Shown]:
    key = "pushed_model"
    if not made.property(key, "pushed"):
        return {"release": Shown({"pushed": 0, "reason": made.property(key, "reason")})}
    version = str(made.property(key, "pushed_version"))
    return {
        "release": Shown(
            {
                "pushed": 1,
                "version": int(version) if version.isdigit() else version,
                "location": made.property(key, "pushed_destination"),
                "store": made.property(key, "store_uri"),
                "model": made.property(key, "model_name"),
                "framework": "keras",
            }
        )
    }
