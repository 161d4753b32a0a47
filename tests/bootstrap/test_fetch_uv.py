"""Only the uv that is pinned is installed, whichever way it comes and whatever the index says of it."""

from __future__ import annotations

import functools
import hashlib
import http.server
import io
import os
import pathlib
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator

import pytest

FETCH = pathlib.Path(__file__).resolve().parents[2] / "bootstrap" / "fetch_uv.py"


def wheel(script: str) -> bytes:
    """A wheel as uv's is laid out, with a script for a binary."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as made:
        made.writestr("uv-0.0.0.data/scripts/uv", script)
    return content.getvalue()


@pytest.fixture
def index(tmp_path: pathlib.Path) -> Iterator[tuple[str, pathlib.Path]]:
    """A package index on loopback, and the folder of its files of uv."""
    (folder := tmp_path / "index" / "uv").mkdir(parents=True)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path / "index"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", folder
        server.shutdown()


def offer(folder: pathlib.Path, name: str, content: bytes) -> None:
    (folder / name).write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    (folder / "index.html").write_text(f'<a href="/uv/{name}#sha256={digest}">{name}</a>')


def fetch(url: str, target: pathlib.Path, source: str) -> subprocess.CompletedProcess[str]:
    """Runs a copy of the script, away from any pip."""
    script = target.parent / "fetch_uv.py"
    script.write_text(source.replace('"-m", "pip"', '"-m", "no_pip_here"'))
    environment = {**os.environ, "UV_DEFAULT_INDEX": url, "no_proxy": "127.0.0.1"}
    return subprocess.run(
        [sys.executable, str(script), str(target)], capture_output=True, text=True, env=environment, check=False
    )


def pinned_name() -> str:
    namespace: dict[str, str] = {"__name__": "read"}
    exec(compile(FETCH.read_text(), str(FETCH), "exec"), namespace)
    return namespace["_WHEEL"]


def test_another_file_of_that_name_is_refused_though_the_index_vouches_for_it(
    index: tuple[str, pathlib.Path], tmp_path: pathlib.Path
) -> None:
    url, folder = index
    offer(folder, pinned_name(), wheel("#!/bin/sh\necho an attacker\n"))
    done = fetch(url, tmp_path / "bin", FETCH.read_text())
    assert done.returncode != 0 and "is not the pinned file" in done.stderr and done.stderr.count("\n") == 1
    assert not (tmp_path / "bin").exists()


def test_the_pinned_file_is_installed(index: tuple[str, pathlib.Path], tmp_path: pathlib.Path) -> None:
    url, folder = index
    content = wheel("#!/bin/sh\necho uv\n")
    offer(folder, pinned_name(), content)
    source = FETCH.read_text()
    (line,) = (line for line in source.splitlines() if line.startswith("_SHA256 = "))
    done = fetch(url, tmp_path / "bin", source.replace(line, f'_SHA256 = "{hashlib.sha256(content).hexdigest()}"'))
    assert done.returncode == 0, done.stderr
    assert subprocess.run([tmp_path / "bin" / "uv"], capture_output=True, text=True, check=True).stdout == "uv\n"


def test_an_index_without_it_is_one_line(index: tuple[str, pathlib.Path], tmp_path: pathlib.Path) -> None:
    url, folder = index
    offer(folder, "uv-0.0.1-py3-none-any.whl", wheel(""))
    done = fetch(url, tmp_path / "bin", FETCH.read_text())
    assert done.returncode != 0 and "the package index has no uv-" in done.stderr and done.stderr.count("\n") == 1
