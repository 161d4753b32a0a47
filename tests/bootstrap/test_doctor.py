"""The doctor: its JSON, its verdict, and what it says on machines that lack something."""

from __future__ import annotations

import importlib.util
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
from types import ModuleType
from typing import Any

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "bootstrap" / "doctor.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment}, timeout=120)


@pytest.fixture
def doctor(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module, looking at an empty home and no environments."""
    monkeypatch.setenv("TRAINYARD_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TRAINYARD_VENVS", str(tmp_path / "venvs"))
    monkeypatch.setenv("TRAINYARD_DATASETS", str(tmp_path / "datasets"))
    monkeypatch.setenv("TRAINYARD_ROOT", str(ROOT))
    monkeypatch.syspath_prepend(str(ROOT / "bootstrap"))
    spec = importlib.util.spec_from_file_location("doctor", ROOT / "bootstrap" / "doctor.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "doctor", module)
    spec.loader.exec_module(module)
    return module


def states(findings: Any) -> dict[str, str]:
    return {finding.name: finding.state for finding in findings}


def test_json_is_one_object_with_every_check() -> None:
    done = run("--json")
    report = json.loads(done.stdout)
    assert set(report) == {"works", "root", "checks"}
    assert done.returncode == (0 if report["works"] else 2)
    assert report["works"] == all(check["state"] != "problem" for check in report["checks"])
    for check in report["checks"]:
        assert set(check) == {"name", "state", "message", "remedy"}
        assert check["state"] in ("ok", "note", "problem") and check["message"]
        assert check["state"] != "problem" or check["remedy"]
    names = {check["name"] for check in report["checks"]}
    assert {
        "system",
        "git",
        "python",
        "uv",
        "C runtime",
        "environment pipelines",
        "disk",
        "memory",
        "cpu",
        "home",
    } <= names
    assert {"platform", "data sets", "docker"} <= names


def test_text_ends_with_the_conclusion() -> None:
    done = run()
    expected = "Nothing stands in the way" if done.returncode == 0 else "to mend before ./trainyard demo works"
    assert expected in done.stdout.splitlines()[-1]


def test_unknown_argument() -> None:
    assert run("--jsn").returncode == 2
    assert run("--help").returncode == 0


def test_environments_missing_stale_broken(doctor: ModuleType) -> None:
    assert states(doctor.check_environments()) == dict.fromkeys(
        (f"environment {n}" for n in doctor.ENVIRONMENTS), "note"
    )
    for name in ("pipelines", "serving", "airflow"):
        folder = doctor.VENVS / name
        (folder / "bin").mkdir(parents=True)
        (folder / ".made-from").mkdir()
        (folder / "bin" / "python").symlink_to(sys.executable if name == "pipelines" else "/bin/false")
        for file in ("uv.lock", "pyproject.toml"):
            shutil.copy(ROOT / file, folder / ".made-from" / file)
        (folder / ".made-from" / "root").write_text(str(ROOT))
    (doctor.VENVS / "airflow" / ".made-from" / "uv.lock").write_text("older")
    doctor.environment_state.cache_clear()
    # Through a link outside its environment this Python finds no packages; that it starts is what counts here.
    assert doctor.environment_state("pipelines") in ("current", "broken")
    assert doctor.environment_state("serving") == "broken"
    assert doctor.environment_state("airflow") == "stale"


def test_old_runtime(doctor: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    library = tmp_path / "libstdc++.so.6"
    library.write_bytes(b"CXXABI_1.3.13")
    monkeypatch.setattr(doctor.machine, "glibc", lambda: (2, 36))
    monkeypatch.setattr(doctor.machine, "libstdcxx", lambda: library)
    monkeypatch.setattr(doctor.machine, "os_release", lambda: {"ID": "fedora"})
    (finding,) = doctor.check_runtime()
    assert finding.state == "problem" and "containers.md" in finding.remedy
    loader = doctor.VENVS / "pipelines/runtime/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"
    loader.parent.mkdir(parents=True)
    loader.touch()
    (finding,) = doctor.check_runtime()
    assert finding.state == "ok" and "private" in finding.message
    library.write_bytes(b"CXXABI_1.3.15")
    monkeypatch.setattr(doctor.machine, "glibc", lambda: (2, 41))
    (finding,) = doctor.check_runtime()
    assert finding.state == "ok" and "too old" not in finding.message


def test_full_disk(doctor: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: usage._replace(free=100_000_000))
    findings = list(doctor.check_disk())
    assert {finding.state for finding in findings} == {"problem"}
    assert "6.0 GiB needed" in findings[0].message and "TRAINYARD_VENVS" in findings[0].remedy


def test_taken_port_is_a_note(doctor: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        monkeypatch.setattr(doctor, "PORTS", {"Airflow": taken.getsockname()[1]})
        assert states(doctor.check_platform())["port"] == "note"


def test_running_platform(doctor: ModuleType) -> None:
    doctor.HOME.mkdir()
    state = {"supervisor": {"pid": os.getpid()}, "urls": {"airflow": "http://127.0.0.1:8080"}}
    (doctor.HOME / "platform.json").write_text(json.dumps(state))
    (finding,) = doctor.check_platform()
    assert "running: airflow http://127.0.0.1:8080" in finding.message
    (doctor.HOME / "platform.json").write_text("{half")
    assert next(iter(doctor.check_platform())).message == "not running"


def test_data_sets(doctor: ModuleType) -> None:
    assert [finding.state for finding in doctor.check_datasets()] == ["ok", "note"]
    (pathlib.Path(os.environ["TRAINYARD_DATASETS"]) / "mnist").mkdir(parents=True)
    (finding,) = doctor.check_datasets()
    assert "mnist" in finding.message


def test_a_check_that_breaks_is_a_note(doctor: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    def check_odd() -> Any:
        raise RuntimeError("odd machine")

    monkeypatch.setattr(doctor, "CHECKS", (check_odd, doctor.check_python))
    first, second = doctor.diagnose()
    assert (first.name, first.state, second.name) == ("odd", "note", "python")


def test_a_moved_checkout_and_anothers_environment_are_told_as_the_wrapper_would(doctor: ModuleType) -> None:
    for name in ("pipelines", "serving"):
        made = doctor.VENVS / name / ".made-from"
        made.mkdir(parents=True)
        (doctor.VENVS / name / "bin").mkdir()
        (doctor.VENVS / name / "bin" / "python").symlink_to(sys.executable)
        for file in ("uv.lock", "pyproject.toml"):
            shutil.copy(ROOT / file, made / file)
    (doctor.VENVS / "pipelines" / ".made-from" / "root").write_text("/where/it/was")
    elsewhere = doctor.VENVS.parent / "other"
    elsewhere.mkdir()
    (elsewhere / ".venv").symlink_to(doctor.VENVS)
    (doctor.VENVS / "serving" / ".made-from" / "root").write_text(str(elsewhere))
    found = {finding.name: finding for finding in doctor.check_environments()}
    assert found["environment pipelines"].state == "note" and "no longer lies" in found["environment pipelines"].message
    assert found["environment serving"].state == "problem"
    assert found["environment serving"].message.endswith(f"is the environment of {elsewhere}")


def test_a_python_that_the_wrapper_refuses_is_no_fine_one(tmp_path: pathlib.Path) -> None:
    environment = {**os.environ, "TRAINYARD_PYTHON": str(tmp_path / "no python")}
    done = subprocess.run([ROOT / "trainyard", "doctor", "--json"], capture_output=True, text=True, env=environment)
    assert done.returncode == 2
    python = next(one for one in json.loads(done.stdout)["checks"] if one["name"] == "python")
    assert python["state"] == "problem" and f"Received: {tmp_path / 'no python'}" in python["message"]


def test_what_lies_in_the_working_folder_shadows_nothing(tmp_path: pathlib.Path) -> None:
    for name in ("json", "pathlib", "machine", "argparse"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('shadowed')")
    for name in ("pipelines", "components"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('shadowed')")
    environment = {**os.environ, "PYTHONPATH": ".", "TRAINYARD_HOME": str(tmp_path / "home")}
    for command in (["doctor"], ["list"], ["release", "list"]):
        done = subprocess.run(
            [ROOT / "trainyard", *command], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
        )
        assert "shadowed" not in done.stdout + done.stderr and done.returncode in (0, 2), done.stderr
