"""Where state lies: a folder whose name TensorFlow would take for a pattern is reached by another name."""

from __future__ import annotations

import pathlib

import pytest

from spec import home


def test_a_home_that_looks_like_a_pattern_can_be_made_and_reached(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    named = tmp_path / "of [me]" / "state?"
    monkeypatch.setenv("TRAINYARD_HOME", str(named))
    assert not set("*?[") & set(str(home.home()))
    for _ in range(2):
        runs = home.runs_root("taxi")
        runs.mkdir(parents=True, exist_ok=True)
    assert (named / "runs" / "taxi").is_dir() and home.home().resolve() == named


def test_a_plain_home_is_itself(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAINYARD_HOME", str(tmp_path / "a b"))
    assert home.home() == tmp_path / "a b" and not home.home().exists()
