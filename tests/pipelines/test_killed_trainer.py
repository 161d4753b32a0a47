"""`trainyard run`, killed in the middle of an epoch and run again: no epoch is lost, none is trained twice."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import subprocess
import sys
from typing import Any

import pytest

from spec import home
from tests.fuse import FUSE, IMPORTS

# 600 rows, two thirds of them to train on, in batches of 32: 12 or 13 steps an epoch.
_IN_THE_SECOND_EPOCH = 20


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_trainer_killed_in_mid_epoch_goes_on_after_the_last_whole_one(yard, tmp_path: pathlib.Path) -> None:
    model = (yard.folder / "model.py").read_text()
    assert "import keras\n" in model and "    return keras.Model(" in model
    model = model.replace("import keras\n", IMPORTS + FUSE).replace(
        "    return keras.Model(", "    x = Fuse()(x)\n    return keras.Model("
    )
    yard.write(model=model)
    assert _run(KILL_AT_STEP=str(_IN_THE_SECOND_EPOCH)) == -signal.SIGKILL
    assert not _histories(home.pipeline_root("tips"))
    assert _run() == 0
    (resumed,) = _histories(home.pipeline_root("tips"))
    assert (resumed["epochs"], resumed["resumed_after"]) == ([1, 2, 3], [1])
    assert not list(home.pipeline_root("tips").glob("Trainer/.system/checkpoints/*/epoch-*"))

    assert _run(TRAINYARD_HOME=str(tmp_path / "home"), TRAINYARD_STORE=str(tmp_path / "models")) == 0
    (whole,) = [json.loads(path.read_text()) for path in (tmp_path / "home").rglob("model_run/*/history.json")]
    assert whole["resumed_after"] == [] and resumed["history"] == whole["history"]


def _run(**environment: str) -> int:
    command = [sys.executable, "-m", "cli.main", "run", "tips"]
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True)
    assert done.returncode in (0, -signal.SIGKILL), done.stderr[-3000:]
    return done.returncode


def _histories(root: pathlib.Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in root.glob("Trainer/model_run/*/history.json")]
