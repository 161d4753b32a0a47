"""What a process tree costs, with real processes; limits that hold; tables, JSON and plot of what was measured."""

from __future__ import annotations

import argparse
import dataclasses
import os
import pathlib
import sys
import xml.etree.ElementTree as ElementTree

import pytest

from benchmarks.pipeline import measurement, table
from benchmarks.pipeline.machine import Machine
from benchmarks.pipeline.measurement import EXTRA, LINES, WHOLE, Measurement, Results, Round
from benchmarks.pipeline.memory_limit import MemoryLimit, _Watched, memory_limit
from benchmarks.pipeline.plot import plot
from benchmarks.pipeline.process import Cost, run
from cli import bench as command
from spec.errors import InputError

# Holds 100 MiB and starts a child, in a session of its own, that holds 100 MiB for a second.
FAMILY = """
import subprocess, sys
held = bytearray(100 << 20)
child = "import time; held = bytearray(100 << 20); time.sleep(1)"
subprocess.run([sys.executable, "-c", child], check=True, start_new_session=True)
"""
MACHINE = Machine("Some CPU", 2, 24_576, "Linux 6.1", "3.11.7", {"tfx": "1.21.0"}, "0123456789ab")


def cost_of(folder: pathlib.Path, program: str, limit: MemoryLimit) -> Cost:
    return run([sys.executable, "-c", program], dict(os.environ), folder, folder / "out", limit)


def one(side: str, rows: int, *seconds: float, case: str = "taxi", failure: str | None = None) -> Measurement:
    rounds = tuple(
        Round(
            {line: 0.0 if line == EXTRA else s * (7 if line == WHOLE else 1) for line in LINES},
            s, 200.0, 100.0, 0.9, rows // 3, 0.1, failure=failure,
        )
        for s in seconds
    )  # fmt: skip
    return Measurement(case, "trips", "auc", side, rows, 18, 1.5, None, rounds)


def results(*measurements: Measurement) -> Results:
    return Results(MACHINE, "2026-01-02 03:04 UTC", measurements)


def cells(text: str, line: str) -> list[str]:
    return next(row for row in text.splitlines() if row.startswith(line)).split()


def test_peak_memory_is_that_of_parent_and_child_together(tmp_path: pathlib.Path) -> None:
    cost = cost_of(tmp_path, FAMILY, MemoryLimit())
    assert cost.failure is None
    assert cost.largest_mb < 180 < 200 < cost.peak_mb < 300


def test_a_family_that_needs_more_than_the_limit_is_ended(tmp_path: pathlib.Path) -> None:
    with memory_limit(150) as limit:
        failure = cost_of(tmp_path, FAMILY, limit).failure
    assert failure and "needed more than 150 MiB" in failure and limit.kind != "none"
    with memory_limit(1_000) as limit:
        assert cost_of(tmp_path, FAMILY, limit).failure is None


def test_where_no_cgroup_can_be_made_the_family_is_watched(tmp_path: pathlib.Path) -> None:
    cost = cost_of(tmp_path, FAMILY, _Watched(150))
    assert cost.failure == "needed more than 150 MiB (watched, then ended)" and cost.seconds < 5


def test_a_failure_says_what_the_process_said(tmp_path: pathlib.Path) -> None:
    failure = cost_of(tmp_path, "raise SystemExit('no such column')", MemoryLimit()).failure
    assert failure == "ended with 1: no such column"


def test_the_table_has_ratios_spread_and_goals() -> None:
    sides = [one("stock", 500_000, 8.0, 9.0, 10.0), one("trainyard", 500_000, 2.0), one("floor", 500_000, 1.0)]
    text = table.to_text(results(*sides))
    wanted = ["transform", "9.00", "(8.00..10.00)", "2.00", "1.00", "4.50x", ">=", "5x", "stock:", "missed", "2.00x"]
    assert cells(text, "transform") == wanted
    assert ">= 6x stock: missed; <= 2.5x script: reached" in text
    assert str(MACHINE) in text


def test_a_side_alone_has_no_ratios() -> None:
    assert cells(table.to_text(results(one("trainyard", 5_000, 2.0))), "whole")[2:] == ["14.00"]


def test_a_side_that_failed_is_named_and_the_others_stand() -> None:
    text = table.to_text(results(one("stock", 5_000, 1.0, failure="ended by signal 9"), one("trainyard", 5_000, 2.0)))
    assert "stock: ended by signal 9" in text and cells(text, "whole")[2:4] == ["failed", "14.00"]
    assert "failed" in plot(results(one("stock", 5_000, 1.0, failure="it failed")))


def test_growth_is_time_over_rows() -> None:
    small, large = one("trainyard", 500_000, 2.0), one("trainyard", 2_000_000, 6.0)
    assert table.growth(small, large, WHOLE) == pytest.approx(0.75)
    text = table.to_text(results(small, large))
    row = next(line for line in text.splitlines() if line.startswith("Trainyard") and "whole process" in line)
    assert row.split()[3:] == ["28.0", "21.0", "0.75x", "<=", "1x:", "reached"]


def test_json_comes_back_as_it_was(tmp_path: pathlib.Path) -> None:
    measured = results(one("stock", 5_000, 8.0, 9.0), one("trainyard", 5_000, 2.0))
    path = tmp_path / "figures.json"
    path.write_text(measured.to_json())
    assert measurement.read([path]) == measured
    path.write_text("{}")
    with pytest.raises(InputError, match="expected what `trainyard bench --json` writes"):
        measurement.read([path])


def test_from_shows_files_of_one_machine_together(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [tmp_path / "a.json", tmp_path / "b.json"]
    for path, case in zip(files, ("taxi", "wide"), strict=True):
        path.write_text(results(one("trainyard", 5_000, 2.0, case=case)).to_json())
    assert bench("--from", files[0], "--from", files[1], "--markdown", "--plot", tmp_path / "p.svg") == 0
    printed = capsys.readouterr().out
    assert "**taxi: " in printed and "**wide: " in printed and "| **whole process** | **14.00** |" in printed
    assert ElementTree.parse(tmp_path / "p.svg").getroot().tag.endswith("svg")
    other = dataclasses.replace(MACHINE, cores=64)
    files[1].write_text(dataclasses.replace(results(), machine=other).to_json())
    with pytest.raises(InputError, match="another machine"):
        bench("--from", files[0], "--from", files[1])


def test_what_cannot_be_measured_is_said_at_once() -> None:
    with pytest.raises(InputError, match=r"has 1,797 rows; leave --rows out"):
        bench("digits", "--rows", 5_000)
    with pytest.raises(InputError, match="Name one of digits, images"):
        bench()
    with pytest.raises(SystemExit):
        bench("taxi", "--rows", "many")


def test_the_plot_has_a_bar_for_each_stage_and_side_and_lines_over_sizes() -> None:
    sizes = [one(side, rows, 2.0) for rows in (5_000, 10_000) for side in ("stock", "trainyard")]
    drawn = ElementTree.fromstring(plot(results(*sizes)))
    kinds = [(mark.tag.rpartition("}")[2], mark.get("class")) for mark in drawn.iter()]
    a_size = len([line for line in LINES if line != EXTRA]) + 1  # and one in the legend
    assert kinds.count(("rect", "stock")) == 2 * a_size + 1
    assert kinds.count(("path", "trainyard")) == 6
    assert "−" not in plot(results(*sizes)), "no coordinate is left of the picture"


def bench(*arguments: object) -> int:
    parser = argparse.ArgumentParser()
    command.add_commands(parser.add_subparsers())
    options = parser.parse_args(["bench", *map(str, arguments)])
    return int(options.handler(options))
