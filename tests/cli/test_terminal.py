from __future__ import annotations

import os
import pty
import re
import time

import pytest

from cli import terminal
from components import progress


def test_nobody_waits_in_silence_for_longer_than_five_seconds(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert progress._SILENT_S <= 5
    monkeypatch.setattr(progress, "_SILENT_S", 0.3)
    with terminal.busy("compiling taxi"):
        progress.rows(1200)
        os.write(2, b"a library's noise")
        time.sleep(0.9)
    err = capfd.readouterr().err
    assert re.match(r"compiling taxi, [01] s; 1,200 rows read\n", err) and "noise" not in err
    assert "compiling" not in (os.write(2, b"."), capfd.readouterr().err)[1]


def test_at_a_terminal_one_line_is_written_over_itself() -> None:
    ours, theirs = pty.openpty()
    saved = os.dup(2)
    os.dup2(theirs, 2)
    try:
        with terminal.busy("looking at sales.csv"):
            time.sleep(1.9)
    finally:
        os.dup2(saved, 2)
    written = os.read(ours, 4096).decode()
    while not ("1 s" in written and written.endswith("\r\x1b[K")):  # a terminal hands on what was written bit by bit
        written += os.read(ours, 4096).decode()
    assert "looking at sales.csv, 1 s" in written and "\n" not in written
    for one in (ours, theirs, saved):
        os.close(one)
