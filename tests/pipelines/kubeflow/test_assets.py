"""Assets on a cluster: staged once by their hash, fetched by the pods that need them, refused where they are another content."""

from __future__ import annotations

import hashlib
import pathlib

import fsspec
import pytest
import yaml

from cli import main as cli
from pipelines.runners.kubeflow.assets import stage
from pipelines.runners.kubeflow.cluster.site import ClusterSite
from spec.workload import Asset
from tests.pipelines.kubeflow.cluster import make_cluster
from tests.yard import FEATURES, WORKLOAD, Yard, make_yard

CONTENT = b"0.5"
ASSET = Asset(file="words/weights.txt", sha256=hashlib.sha256(CONTENT).hexdigest())
DECLARED = WORKLOAD.replace("infra_validation:", "  baseline: [weighted]\ninfra_validation:") + (
    f"assets: {{weights: {{file: {ASSET.file}, sha256: {ASSET.sha256}}}}}\n"
)
BASELINE = """
import numpy as np

from components.assets import asset_path


def weighted(train, test, task):
    \"\"\"The same answer for all: the weight.\"\"\"
    return np.full(test.num_rows, float(asset_path("weights").read_text()))
"""


@pytest.fixture
def cache(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """The dataset cache of whoever submits; the file is in it."""
    path = tmp_path / "cache" / ASSET.file
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    monkeypatch.setenv("TRAINYARD_DATASETS", str(tmp_path / "cache"))
    return path


@pytest.fixture
def tips(places: pathlib.Path, cache: pathlib.Path) -> Yard:
    """The yard's workload, with a simple method that reads an asset."""
    made = make_yard(places)
    made.write(workload=DECLARED, features=FEATURES)
    (made.folder / "baseline.py").write_text(BASELINE)
    return made


def test_a_file_is_staged_once_and_then_needed_here_no_more(s3: str, cache: pathlib.Path) -> None:
    site = ClusterSite(root=f"{s3}/pipelines", data=s3, store=s3)
    assert stage({"weights": ASSET}, site) == []
    cache.unlink()
    assert stage({"weights": ASSET}, site) == []
    store = fsspec.filesystem("s3", use_listings_cache=False)
    assert store.cat_file(f"{s3}/pipelines/_assets/{ASSET.sha256}") == CONTENT


def test_a_volume_that_is_not_mounted_here_is_left_to_a_person(tmp_path: pathlib.Path, cache: pathlib.Path) -> None:
    mount = tmp_path / "mount"
    places = {name: f"{mount}/{name}" for name in ("root", "data", "store")}
    site = ClusterSite(**places, volume={"claim": "yard", "mount_path": str(mount)})
    (note,) = stage({"weights": ASSET}, site)
    assert note.endswith(f"Copy words/weights.txt to {mount}/root/_assets/{ASSET.sha256}.")
    mount.mkdir()
    assert stage({"weights": ASSET}, site) == []
    assert (mount / "root" / "_assets" / ASSET.sha256).read_bytes() == CONTENT


def test_another_content_is_refused_before_anything_is_compiled(
    tips: Yard, s3: str, cache: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cache.write_bytes(b"0.7")
    (tmp_path / "kubeflow.yaml").write_text(yaml.safe_dump({"root": f"{s3}/other", "data": s3, "store": s3}))
    output = tmp_path / "tips.yaml"
    command = ["compile", "tips", "-o", str(output), "--stage-assets", "--site", str(tmp_path / "kubeflow.yaml")]
    assert cli.main(command) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"weights.txt: SHA-256 {ASSET.sha256} expected" in line and not output.exists()


@pytest.mark.slow
def test_a_pod_has_what_was_staged_and_says_what_was_not(
    tips: Yard, s3: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRAINYARD_CODE_REVISION", "")
    (tmp_path / "cluster").mkdir()
    cluster = make_cluster(tips, s3, tmp_path / "cluster")
    cluster.environment["TRAINYARD_DATASETS"] = str(tmp_path / "pod")  # as empty as a pod's
    tasks = ["schema-importer", "columnar-example-gen", "baseline"]
    staged = f"{s3}/pipelines/_assets/{ASSET.sha256}"
    cluster.store.rm_file(staged) if cluster.store.exists(staged) else None
    *_, refused = cluster.double.run("run-1", only=tasks)
    assert refused.code == 2
    assert f"{staged} is not there" in refused.output.splitlines()[-1]

    stage({"weights": ASSET}, ClusterSite(root=f"{s3}/pipelines", data=s3, store=s3))
    attempts = cluster.double.run("run-2", only=tasks)
    assert [one.code for one in attempts] == [0, 0, 0], attempts[-1].output
    assert (tmp_path / "pod" / ASSET.file).read_bytes() == CONTENT
