"""The wrapper and its parts: syntax, help, the apt sources of another suite, which environment a test runs in."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
IMAGES = ROOT / "docker"
SCRIPTS = [
    ROOT / "trainyard",
    *sorted((ROOT / "bootstrap").glob("*.sh")),
    *(IMAGES / name for name in ("build", "base-image", "ensure-engine")),
    *sorted((IMAGES / "steps").glob("*.sh")),
]

DEBIAN_12 = """\
# See http://snapshot.debian.org/archive/debian/20260101T000000Z
Types: deb
URIs: http://deb.debian.org/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example/bookworm-security
Suites: bookworm-security
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://deb.debian.org/debian
Suites: bookworm-backports
Components: main
"""
UBUNTU_22_04 = """\
# newer versions of the distribution.
deb http://archive.ubuntu.com/ubuntu/ jammy main restricted
deb-src http://archive.ubuntu.com/ubuntu/ jammy main restricted
deb http://archive.ubuntu.com/ubuntu/ jammy-updates main restricted
deb [arch=amd64 signed-by=/usr/share/keyrings/ubuntu.gpg] http://security.ubuntu.com/ubuntu jammy-security main
deb cdrom:[Ubuntu 22.04]/ jammy main
deb https://packages.example/apt stable main
"""


def bash(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs code after sourcing the wrapper's parts, as the wrapper itself would."""
    parts = "".join(f'. "$ROOT/bootstrap/{name}.sh"; ' for name in ("environments", "private_runtime", "test"))
    venvs = os.environ.get("TRAINYARD_VENVS", str(ROOT / ".venv"))
    variables = {**os.environ, "ROOT": str(ROOT), "VENVS": venvs, **environment}
    command = ["bash", "-c", f"set -euo pipefail; {parts}{code}"]
    return subprocess.run(command, capture_output=True, text=True, env=variables, timeout=60)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_script_parses(script: pathlib.Path) -> None:
    subprocess.run(["bash", "-n", str(script)], check=True)


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="shellcheck is not installed")
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_script_is_clean(script: pathlib.Path) -> None:
    # Sourced parts: variables and files come from the caller.
    skipped = "SC1090,SC1091,SC2034,SC2154"
    done = subprocess.run(
        ["shellcheck", "-s", "bash", "-S", "warning", "-e", skipped, str(script)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


def test_help_needs_no_environment(tmp_path: pathlib.Path) -> None:
    variables = {**os.environ, "TRAINYARD_VENVS": str(tmp_path)}
    done = subprocess.run(
        [str(ROOT / "trainyard"), "--help"], capture_output=True, text=True, env=variables, timeout=30
    )
    assert done.returncode == 0 and "./trainyard demo" in done.stdout
    assert not list(tmp_path.iterdir())


def test_unknown_environment_is_refused() -> None:
    done = bash("make_environment pipeline")
    assert done.returncode == 2
    assert done.stderr == "trainyard: no environment 'pipeline': pipelines, serving or airflow\n"


def test_debian_12_sources_become_trixie(tmp_path: pathlib.Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list.d" / "debian.sources").write_text(DEBIAN_12)
    lines = bash(f"other_suite bookworm trixie '{tmp_path}'").stdout.splitlines()
    assert [" ".join(line.split()) for line in lines if line.startswith("Suites")] == [
        "Suites: trixie",
        "Suites: trixie-security",
    ]
    # The mirror's address stays as it is, even where it contains the suite's name.
    assert "URIs: http://mirror.example/bookworm-security" in lines
    assert lines.count("Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg") == 2


def test_ubuntu_22_04_sources_become_noble(tmp_path: pathlib.Path) -> None:
    (tmp_path / "sources.list").write_text(UBUNTU_22_04)
    text = bash(f"other_suite jammy noble '{tmp_path}'").stdout
    expected = [
        ("http://archive.ubuntu.com/ubuntu/", "noble"),
        ("http://security.ubuntu.com/ubuntu", "noble-security"),
    ]
    stanza = "Types: deb\nURIs: {}\nSuites: {}\nComponents: main\n\n"
    assert text == "".join(stanza.format(*one) for one in expected)


@pytest.mark.parametrize(
    ("version", "library", "recent"),
    [
        ("glibc 2.36", "new", False),
        ("glibc 2.41", "old", False),
        ("glibc 2.41", "new", True),
        ("glibc 2.38", "new", True),
    ],
)
def test_age_of_the_c_runtime(tmp_path: pathlib.Path, version: str, library: str, recent: bool) -> None:
    (tmp_path / "new").write_bytes(b"\0CXXABI_1.3.14\0CXXABI_1.3.15\0")
    (tmp_path / "old").write_bytes(b"\0CXXABI_1.3.13\0")
    listing = f"libstdc++.so.6 (libc6,x86-64) => {tmp_path / library}"
    fakes = f"getconf() {{ echo '{version}'; }}; ldconfig() {{ echo '{listing}'; }}"
    assert bash(f"{fakes}; has_recent_runtime && echo recent || echo old").stdout.strip() == (
        "recent" if recent else "old"
    )


def test_stale_environment_is_noticed(tmp_path: pathlib.Path) -> None:
    (tmp_path / "serving" / "bin").mkdir(parents=True)
    (tmp_path / "serving" / "bin" / "python").symlink_to("/bin/true")
    made = tmp_path / "serving" / ".made-from"
    made.mkdir()
    for name in ("uv.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, made / name)
    (made / "root").write_text(str(ROOT))
    code = "environment_is_current serving && echo current || echo stale"
    assert bash(code, VENVS=str(tmp_path)).stdout == "current\n"
    with (made / "uv.lock").open("a") as lock:
        lock.write("#")
    assert bash(code, VENVS=str(tmp_path)).stdout == "stale\n"


def test_another_checkouts_environment_is_left_alone(tmp_path: pathlib.Path) -> None:
    """A linked .venv leads to it; making ours there would begin with deleting theirs."""
    made = tmp_path / "other" / ".venv" / "serving" / ".made-from"
    made.mkdir(parents=True)
    (made / "root").write_text(str(tmp_path / "other"))
    (tmp_path / "linked").symlink_to(tmp_path / "other" / ".venv")
    refused = bash("make_environment serving", VENVS=str(tmp_path / "linked"))
    assert refused.returncode != 0 and made.is_dir()
    assert f"is the environment of {tmp_path / 'other'}" in refused.stderr and "TRAINYARD_VENVS" in refused.stderr


@pytest.mark.parametrize(
    ("path", "environment"),
    [
        ("tests/serving/test_rest.py::test_predict", "serving"),
        ("tests/model_store", "serving"),
        ("./tests/dags/", "airflow"),
        ("tests/embedded/test_supervisor.py", "airflow"),
        ("tests/components/report", "pipelines"),
        (f"{ROOT}/tests/serving", "serving"),
        ("tests", "pipelines serving airflow"),
    ],
)
def test_environment_of_a_test(path: str, environment: str) -> None:
    assert bash(f"test_environment '{path}'").stdout.strip() == environment


def test_every_test_folder_has_one_environment() -> None:
    code = 'for one in $TEST_ENVIRONMENTS; do test_paths "$one"; done'
    paths = bash(code).stdout.split()
    expected = [f"tests/{p.name}" for p in (ROOT / "tests").iterdir() if p.is_dir() and p.name != "__pycache__"]
    expected += [f"tests/{p.name}" for p in (ROOT / "tests").glob("test_*.py")]
    assert sorted(paths) == sorted(expected)


@pytest.mark.parametrize(
    ("arguments", "shared"),
    [("", True), ("--slow", False), ("tests/spec", False), ("-x", False), ("--docker", False), ("-k a -n 3", False)],
)
def test_a_plain_run_is_shared_by_processes(arguments: str, shared: bool) -> None:
    stubs = (
        'ensure_environments() { :; }; summarise_tests() { :; }; nproc() { echo 64; }; run_pytest() { echo "$*"; }; '
    )
    runs = bash(f"{stubs} run_tests {arguments}").stdout.splitlines()
    assert runs and all((" -n 4 --dist loadfile " in run) == shared for run in runs)


RESULT = '<testsuites><testsuite tests="{}" failures="{}" errors="{}" skipped="{}"/></testsuites>'


@pytest.mark.parametrize(
    ("ends", "last", "code"),
    [
        ({"pipelines": (0, (9, 0, 0, 2)), "serving": (0, (4, 0, 0, 0))}, "11 passed, 0 failed, 2 skipped", 0),
        ({"pipelines": (1, (9, 1, 1, 2))}, "5 passed, 2 failed, 2 skipped", 1),
        ({"pipelines": (0, (9, 0, 0, 0)), "airflow": (5, (0, 0, 0, 0))}, "9 passed, 1 failed, 0 skipped", 1),
        ({"airflow": (4, ())}, "0 passed, 1 failed, 0 skipped", 1),
    ],
)
def test_summary(tmp_path: pathlib.Path, ends: dict[str, tuple[int, tuple[int, ...]]], last: str, code: int) -> None:
    for name, (end, counts) in ends.items():
        (tmp_path / f"{name}.rc").write_text(f"{end}\n")
        if counts:
            (tmp_path / f"{name}.xml").write_text(RESULT.format(*counts))
    done = bash(f"summarise_tests '{tmp_path}'")
    assert done.stdout.splitlines()[-1] == last
    assert done.returncode == code


def test_missing_test_path_is_one_line() -> None:
    done = bash("run_tests tests/no_such_folder")
    assert (done.returncode, done.stderr) == (2, "trainyard: there is no test at tests/no_such_folder\n")
