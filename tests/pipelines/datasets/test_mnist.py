"""MNIST from the dataset cache, whole and damaged."""

from __future__ import annotations

import gzip
import pathlib
import shutil

import pytest

from pipelines import datasets
from pipelines.datasets import mnist
from spec import home
from spec.errors import InputError

_CACHE = home.datasets_cache() / "mnist"
_TEST_LABELS = "t10k-labels-idx1-ubyte.gz"


@pytest.fixture
def cache(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """A copy of the dataset cache that a test may damage; there is no network."""
    missing = [file.name for file in mnist._FILES if not (_CACHE / file.name).is_file()]
    if missing:
        pytest.skip(f"{_CACHE} lacks {', '.join(missing)}")
    shutil.copytree(_CACHE, tmp_path / "cache" / "mnist")
    monkeypatch.setenv("TRAINYARD_DATASETS", str(tmp_path / "cache"))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    return tmp_path / "cache" / "mnist"


def test_the_official_split_is_kept(cache: pathlib.Path, tmp_path: pathlib.Path) -> None:
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    table = pq.read_table(datasets.prepare("mnist", 1, tmp_path))
    counts = {row["values"]: row["counts"] for row in table["split"].value_counts().to_pylist()}
    assert counts == {"train": 60_000, "test": 10_000}
    assert pc.unique(pc.binary_length(table["image_bytes"])).to_pylist() == [784]
    assert table["label"].slice(0, 5).to_pylist() == [5, 0, 4, 1, 9]
    assert table["label"].slice(60_000, 5).to_pylist() == [7, 2, 1, 0, 4]
    # The first picture, a 5, has ink in the middle and none in the corners.
    picture = table["image_bytes"][0].as_py()
    assert picture[0] == picture[-1] == 0 and max(picture) == 255


def test_damaged_files_are_named(cache: pathlib.Path, tmp_path: pathlib.Path) -> None:
    path = cache / _TEST_LABELS
    whole = path.read_bytes()
    content = gzip.decompress(whole)
    flipped = bytearray(content)
    flipped[5000] ^= 1
    for damaged, says in (
        (whole[: len(whole) // 2], "truncated: the compressed stream ends early"),
        (content, "damaged or not a gzip file"),
        (gzip.compress(content[:-1]), "10008 bytes expected once uncompressed. Received: 10007"),
        (gzip.compress(content + b"\0"), "10008 bytes expected once uncompressed. Received: more than 10008"),
        (gzip.compress(bytes(flipped)), "content with SHA-256 ff7bcfd4"),
        (b"", "10008 bytes expected once uncompressed. Received: 0"),
    ):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=rf"{path}: .*{says}.*Delete it"):
            datasets.prepare("mnist", 1, tmp_path / "landing")
        assert not list((tmp_path / "landing").iterdir())


def test_recompressed_files_will_do(cache: pathlib.Path, tmp_path: pathlib.Path) -> None:
    path = cache / _TEST_LABELS
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()), compresslevel=1))
    assert [path.name for path in datasets.prepare("mnist", 1, tmp_path).iterdir()] == ["mnist.parquet"]


def test_without_network_and_cache_it_says_which_files_go_where(cache: pathlib.Path, tmp_path: pathlib.Path) -> None:
    (cache / _TEST_LABELS).unlink()
    with pytest.raises(
        InputError, match=rf"cannot be downloaded.*put {_TEST_LABELS} into {cache} \(TRAINYARD_DATASETS"
    ):
        datasets.prepare("mnist", 1, tmp_path)
