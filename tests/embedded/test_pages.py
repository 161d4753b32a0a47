"""The reports in the browser: the site and the runs' reports, and nothing else of the home."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from embedded.pages import page_of
from embedded.settings import free_port
from tests.embedded.conftest import wait_for


@pytest.fixture
def home(tmp_path: Path) -> Path:
    files = {
        "airflow/passwords.json": "hunter2",
        "pipelines/taxi/metadata.sqlite": "hunter2",
        "runs/taxi/1/report.html": "a run",
        "runs/taxi/1/run.json": "hunter2",
        "runs/taxi/1/log.txt": "hunter2",
        "reports/.site.json": "hunter2",
        "reports/taxi/index.html": "the workload",
        "reports/taxi/validations/1/index.html": "the page",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "reports" / "out.html").symlink_to(tmp_path / "airflow" / "passwords.json")
    return tmp_path


@pytest.fixture
def site(home: Path) -> Iterator[httpx.Client]:
    port = free_port()
    environment = os.environ | {"TRAINYARD_HOME": str(home)}
    server = subprocess.Popen([sys.executable, "-m", "embedded.pages", "--port", str(port)], env=environment)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            wait_for(lambda: client.get("/"), 20, "the server answers")
            yield client
    finally:
        server.terminate()
        server.wait(timeout=20)


def test_pages_are_shown_and_an_empty_site_says_so(site: httpx.Client, home: Path) -> None:
    assert "No reports yet" in site.get("/").text
    (home / "reports" / "index.html").write_text("<h1>Overview</h1>")
    assert site.get("/").text == "<h1>Overview</h1>"
    assert site.get("/taxi/").text == "the workload"
    assert site.get("/taxi").headers["Location"] == "/taxi/", "relative links of the page need the slash"
    page = site.get("/taxi/validations/1/index.html?from=airflow")
    assert (page.text, page.headers["Content-Type"]) == ("the page", "text/html")
    assert site.get("/runs/taxi/1/report.html").text == "a run"
    assert site.head("/runs/taxi/1/report.html").status_code == 200
    assert site.post("/").status_code == 501


@pytest.mark.parametrize(
    "path",
    [
        "/airflow/passwords.json",
        "/../airflow/passwords.json",
        "/%2e%2e/airflow/passwords.json",
        "/runs/../airflow/passwords.json",
        "/runs/taxi/1/run.json",
        "/runs/taxi/1/log.txt",
        "/runs/taxi/../../airflow/report.html",
        "/out.html",
        "/.site.json",
        "//etc/passwd",
        "/%00",
    ],
)
def test_nothing_else_is_shown(home: Path, path: str) -> None:
    assert page_of(home, path) is None


def test_a_workload_called_runs_has_its_pages(home: Path) -> None:
    (home / "reports" / "runs").mkdir()
    (home / "reports" / "runs" / "index.html").write_text("the workload")
    assert page_of(home, "/runs/") == home / "reports" / "runs" / "index.html"
