"""Publishers of one model in one object store, killed at any moment."""

from __future__ import annotations

import os
import pathlib
import random
import subprocess
import sys
import time
import uuid

import pytest

from model_store import STABLE, ModelStore
from tests.servers import conditional_s3_server, reach_s3

ROOT = pathlib.Path(__file__).resolve().parents[2]
PUBLISHERS = 3
_PUBLISH = """
import sys, uuid
from model_store import ModelStore, ReleaseDraft, StoreError
from storage import _lease
_lease.LEASE_SECONDS = 1.0
uri, export, log = sys.argv[1:]
store = ModelStore(uri)
with open(log, "a", buffering=1) as said:
    while True:
        key = uuid.uuid4().hex
        try:
            release = store.publish("taxi", export, ReleaseDraft(publication_key=key, task="binary"))
            said.write(f"published {release.version} {key}\\n")
            store.promote("taxi", release.version, reason=key, actor="racer")
            said.write(f"promoted {release.version} {key}\\n")
        except StoreError as error:
            said.write(f"# {error}\\n")
"""


def start(uri: str, export: pathlib.Path, folder: pathlib.Path) -> subprocess.Popen[bytes]:
    log = folder / f"{uuid.uuid4().hex}.log"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen([sys.executable, "-c", _PUBLISH, uri, str(export), str(log)], cwd=ROOT, env=environment)


def said(folder: pathlib.Path, what: str) -> dict[int, str]:
    """Version -> publication key of what was acknowledged."""
    lines = [line.split() for log in folder.glob("*.log") for line in log.read_text().splitlines()]
    return {int(line[1]): line[2] for line in lines if line[0] == what}


@pytest.mark.parametrize("seconds", [4, pytest.param(90, marks=pytest.mark.slow)])
def test_publishers_under_kills_lose_nothing(tmp_path: pathlib.Path, make_export, seconds: float) -> None:
    chance, export = random.Random(3), make_export()
    with conditional_s3_server() as environment, reach_s3(environment) as bucket:
        uri = f"{bucket}/models"
        running = [start(uri, export, tmp_path) for _ in range(PUBLISHERS)]
        try:
            began = time.monotonic()
            while time.monotonic() - began < seconds or len(said(tmp_path, "promoted")) < 3:
                time.sleep(chance.uniform(0.2, 2))
                at = chance.randrange(PUBLISHERS)
                assert running[at].poll() is None, "a publisher ended by itself"
                running[at].kill()
                running[at].wait()
                running[at] = start(uri, export, tmp_path)
        finally:
            for one in running:
                one.kill()
                one.wait()
        store = ModelStore(uri)
        keys = {version: store.release("taxi", version).publication_key for version in store.versions("taxi")}
        assert all(store.verify("taxi", version) == () for version in keys)
        assert len(set(keys.values())) == len(keys)
        assert said(tmp_path, "published").items() <= keys.items()
        promoted = [entry.version for entry in store.history("taxi") if entry.action == "promote"]
        last = max(promoted.index(version) for version in said(tmp_path, "promoted"))
        # A publisher that was killed between the two has left a line without its label.
        assert promoted.index(store.labels("taxi")[STABLE]) >= last
