"""The command line itself: what it passes on, and how it says that something went wrong."""

from __future__ import annotations

import argparse
import errno
import json
import os
import pathlib

import pytest

from cli import main as cli
from components import user_code
from model_store import ModelStore, ReleaseDraft
from spec.errors import machine_trouble


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> list[list[str]]:
    """The arguments of each process that this one would have become."""
    calls: list[list[str]] = []
    monkeypatch.setenv("TRAINYARD_STORE", str(tmp_path / "models"))
    monkeypatch.setenv("TRAINYARD_PROGRAM", "")
    monkeypatch.setattr(os, "execv", lambda path, arguments: calls.append(list(arguments[1:])) or exit())
    return calls


@pytest.mark.parametrize(
    ("given", "passed"),
    [
        (["serve"], ["--store", "STORE"]),
        (["serve", "--help"], ["--help"]),
        (["serve", "--rest-port", "9000"], ["--rest-port", "9000", "--store", "STORE"]),
        (
            ["serve", "taxi", "digits", "--rest-port", "0"],
            ["--model", "taxi", "--model", "digits", "--rest-port", "0", "--store", "STORE"],
        ),
        (["--debug", "serve", "--store", "elsewhere"], ["--store", "elsewhere"]),
    ],
)
def test_what_follows_serve_is_the_model_servers(
    started: list[list[str]], tmp_path: pathlib.Path, given: list[str], passed: list[str]
) -> None:
    with pytest.raises(SystemExit):
        cli.main(given)
    store = str(tmp_path / "models")
    assert started == [["-P", "-m", "serving", *(store if part == "STORE" else part for part in passed)]]
    assert os.environ["TRAINYARD_PROGRAM"] == "trainyard serve", (
        "the server's --help speaks of the command that was given"
    )


def test_an_unknown_option_of_another_command_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["list", "--rest-port", "9000"])
    assert caught.value.code == 2 and "--rest-port" in capsys.readouterr().err


def test_json_is_printed_for_a_request_that_is_refused_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", "nosuch", "--json"]) == 2
    printed = capsys.readouterr()
    outcome = json.loads(printed.out)
    assert (outcome["status"], outcome["exit_code"], outcome["release"]) == ("failed", 2, None)
    assert "nosuch" in outcome["error"] and outcome["error"] in printed.err


@pytest.fixture
def store(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> ModelStore:
    """Two releases of `tips`."""
    monkeypatch.setenv("TRAINYARD_STORE", str(tmp_path / "models"))
    made = ModelStore(str(tmp_path / "models"))
    for key in ("one", "two"):
        export = tmp_path / key
        export.mkdir()
        (export / "saved_model.pb").write_text(key)
        metrics = {"overall": {"bias": 0.1, "mae": 2.0, "rmse": 3.0}}
        made.publish("tips", export, ReleaseDraft(publication_key=key, task="regression", metrics=metrics))
    return made


def test_a_damaged_release_does_not_hide_the_others(store: ModelStore, capsys: pytest.CaptureFixture[str]) -> None:
    (pathlib.Path(store.uri) / "tips" / "2" / "release.json").write_text("")
    assert cli.main(["release", "list"]) == 0
    damaged, intact = capsys.readouterr().out.splitlines()
    assert "damaged" in damaged
    assert intact.index("rmse") < intact.index("mae") < intact.index("bias")


def test_both_labels_of_a_version_are_shown(store: ModelStore, capsys: pytest.CaptureFixture[str]) -> None:
    for label in ("stable", "canary"):
        store.set_label("tips", label, 1, reason="r", actor="a")
    cli.main(["release", "list", "tips"])
    assert "stable,canary" in capsys.readouterr().out


@pytest.mark.parametrize("action", ["list", "history", "show", "verify"])
def test_a_model_that_is_not_there_is_said(store: ModelStore, capsys: pytest.CaptureFixture[str], action: str) -> None:
    assert cli.main(["release", action, "tops"]) == 2
    assert "Known models: tips" in capsys.readouterr().err


def test_what_a_person_has_to_do_for_the_machine() -> None:
    assert "disk is full" in (machine_trouble(OSError(errno.ENOSPC, "No space left on device")) or "")
    assert "disk is full" in (machine_trouble(RuntimeError("query: database or disk is full")) or "")
    assert "/srv" in (machine_trouble(OSError(errno.EROFS, "Read-only file system", "/srv")) or "")
    with pytest.raises(RuntimeError), user_code.blame("features.py"):  # nobody's code is at fault
        raise RuntimeError("OSError: [Errno 28] No space left on device [while running 'Write']")
    assert machine_trouble(ConnectionResetError(errno.ECONNRESET, "reset")) is None


def test_every_commands_help_speaks_of_trainyard(capsys: pytest.CaptureFixture[str]) -> None:
    parser = cli._parser()
    (commands,) = (one for one in parser._actions if isinstance(one, argparse._SubParsersAction))
    for name, command in commands.choices.items():
        assert command.prog == f"trainyard {name}"
        for inner in (one for one in command._actions if isinstance(one, argparse._SubParsersAction)):
            assert all(one.prog == f"trainyard {name} {action}" for action, one in inner.choices.items())


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_a_terminal_that_lacks_signs_gets_plain_ones(encoding: str) -> None:
    said = "✓ taxi ✗ … größe 名".encode(encoding, "trainyard.plainly").decode(encoding)
    assert said.startswith("ok taxi x ")
    assert said.endswith("\\u540d")
