"""Stand-ins for the pipeline's command line and the model server, and environments that hold them."""

from __future__ import annotations

import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
_STANDS_FOR = {"pipelines": "pipeline_cli.py", "serving": "model_server.py"}


def make_environments(folder: Path, *, real: tuple[str, ...] = (), root: Path | None = None) -> Path:
    """Makes a TRAINYARD_VENVS folder: the real airflow environment, stand-ins for pipelines and serving.

    Args:
        folder: An empty or new one.
        real: Those of `root` that are wanted as they are.
        root: The installed environments.
    """
    for name in ("airflow", *_STANDS_FOR):
        if root is not None and name in real:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).symlink_to(root / name)
            continue
        python = folder / name / "bin" / "python"
        python.parent.mkdir(parents=True)
        if name == "airflow":
            python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        else:
            # `-P -m <module>` is dropped: the stand-in takes the module's place.
            python.write_text(f'#!/bin/sh\nshift 3\nexec "{sys.executable}" "{FOLDER / _STANDS_FOR[name]}" "$@"\n')
        python.chmod(0o755)
    return folder
