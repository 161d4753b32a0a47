"""The data sets that need no network, and what holds for all."""

from __future__ import annotations

import concurrent.futures
import csv
import errno
import pathlib
import subprocess
import sys

import pytest

from pipelines import datasets
from spec.errors import InputError


def _rows(span: pathlib.Path) -> list[dict[str, str]]:
    with (span / "trips.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_taxi_spans_are_the_older_and_the_newer_half_and_lose_no_trip(tmp_path: pathlib.Path) -> None:
    older, newer = (_rows(datasets.prepare("taxi", span, tmp_path)) for span in datasets.spans("taxi"))
    assert max(int(trip["trip_start_timestamp"]) for trip in older) < min(int(t["trip_start_timestamp"]) for t in newer)
    assert len(older) + len(newer) == 15_002
    assert abs(len(older) - len(newer)) < 10
    assert older[0].keys() == newer[0].keys() and "big_tipper" in older[0]


def test_taxi_is_the_same_each_time(tmp_path: pathlib.Path) -> None:
    first, second = (datasets.prepare("taxi", 1, tmp_path / name) / "trips.csv" for name in ("a", "b"))
    assert first.read_bytes() == second.read_bytes()


def test_digits_are_rows_of_64_pixels(tmp_path: pathlib.Path) -> None:
    import pyarrow.parquet as pq
    from sklearn.datasets import load_digits

    table = pq.read_table(datasets.prepare("digits", 1, tmp_path))
    assert table.num_rows == 1797
    assert {len(pixels) for pixels in table["pixels"].to_pylist()} == {64}
    assert table["pixels"][1796].as_py() == load_digits().data[1796].tolist()
    assert set(table["label"].to_pylist()) == set(range(10))


def test_a_span_that_is_there_is_left_as_it_is(tmp_path: pathlib.Path) -> None:
    (tmp_path / "span-1").mkdir()
    assert datasets.prepare("digits", 1, tmp_path) == tmp_path / "span-1"
    assert not list((tmp_path / "span-1").iterdir())


def test_the_same_span_at_the_same_time(tmp_path: pathlib.Path) -> None:
    code = f"from pipelines import datasets; datasets.prepare('taxi', 2, {str(tmp_path)!r})"
    with concurrent.futures.ThreadPoolExecutor() as pool:
        runs = [pool.submit(subprocess.run, [sys.executable, "-c", code], check=True) for _ in range(4)]
        concurrent.futures.wait(runs)
    assert [run.result().returncode for run in runs] == [0] * 4
    assert [path.name for path in tmp_path.iterdir()] == ["span-2"]
    assert len(_rows(tmp_path / "span-2")) == 7_500


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_a_failed_write_leaves_nothing(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def full(span: int, folder: pathlib.Path) -> None:
        (folder / "half").write_text("written")
        raise OSError(number, "No space left on device")

    broken = datasets.Dataset("taxi", "", "", "", range(1, 3), full)
    monkeypatch.setattr(datasets, "dataset", lambda name: broken)
    with pytest.raises(InputError if number == errno.ENOSPC else OSError, match="No space left"):
        datasets.prepare("taxi", 1, tmp_path)
    assert not list(tmp_path.iterdir())


def test_unknown_names_say_what_is_known(tmp_path: pathlib.Path) -> None:
    with pytest.raises(InputError, match=r"known: cifar10, digit_scenes, digits.*'iris'"):
        datasets.prepare("iris", 1, tmp_path)
    with pytest.raises(InputError, match=r"known: 1, 2\. Received: 3"):
        datasets.prepare("taxi", 3, tmp_path)


def test_every_data_set_says_where_it_comes_from() -> None:
    for name in datasets.names():
        one = datasets.dataset(name)
        assert one.name == name
        assert "\n" not in one.description
        assert one.description and one.source and one.licence and len(one.spans) >= 1


def test_import_is_light() -> None:
    code = (
        "import sys; from pipelines import datasets; [datasets.dataset(n) for n in datasets.names()]; "
        "print(*({'tensorflow', 'tfx', 'pyarrow', 'sklearn', 'numpy', 'pandas', 'PIL'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == ""
