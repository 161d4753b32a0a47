"""Runs a compiled file as KFP's own users do, with kfp.local and real containers: `python run_with_kfp.py < request.json`.

A process of its own: kfp.local keeps its settings in globals and prints the containers' logs. The request holds `file`, `root`
(where tasks leave what the UI would show), `arguments` (the run's parameters) and `container` (for `docker run`; secrets come
by it, and so not as arguments that every process on the machine can read).
"""

from __future__ import annotations

import json
import sys

from kfp import components, local


def main() -> int:
    request = json.load(sys.stdin)
    local.init(local.DockerRunner(**request["container"]), pipeline_root=request["root"])
    pipeline = components.load_component_from_file(request["file"])
    try:
        pipeline(**request["arguments"])
    except Exception as error:  # a task failed, or kfp refuses the file or its arguments
        print(f"kfp.local: {type(error).__name__}: {error}", flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
