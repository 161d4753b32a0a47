"""Checks whether this machine has what Trainyard needs: `./trainyard doctor [--json]`.

`./trainyard doctor --cluster` is a different program (pipelines/runners/kubeflow/doctor).

Standard library only, and no syntax newer than Python 3.8: it has to run on a machine where nothing works yet.
Exits with 0 if `./trainyard demo` would work, else with 2.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import pathlib
import platform
import shutil
import sys
import tempfile
import urllib.error
import urllib.request
from typing import Any, Callable, Iterator  # noqa: UP035 Python 3.8

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))  # PYTHONSAFEPATH leaves it out
import machine

OK, NOTE, PROBLEM = "ok", "note", "problem"
CONTAINER = "Use the container image instead: docs/guides/containers.md."
GIB = 2**30
# Environments and their size on disk in GiB.
ENVIRONMENTS = {"pipelines": 3.5, "serving": 1.8, "airflow": 0.7}
PORTS = {"Airflow": 8080, "model server, REST": 8501, "model server, gRPC": 8500}
DATASETS_TO_FETCH = {"mnist": "12 MB"}
ROOT = pathlib.Path(os.environ.get("TRAINYARD_ROOT") or pathlib.Path(__file__).resolve().parents[1])
VENVS = pathlib.Path(os.environ.get("TRAINYARD_VENVS") or ROOT / ".venv")
HOME = pathlib.Path(os.environ.get("TRAINYARD_HOME") or ROOT / ".trainyard").absolute()


@dataclasses.dataclass(frozen=True)
class Finding:
    """One line of the diagnosis.

    Attributes:
        name: what was checked.
        state: ok, note (worth knowing, nothing to do now) or problem (`demo` would not work).
        message: what was found.
        remedy: what to do, if anything.
    """

    name: str
    state: str
    message: str
    remedy: str = ""


def check_system() -> Iterator[Finding]:
    system, processor = platform.system(), platform.machine()
    if (system, processor) == ("Linux", "x86_64"):
        yield Finding("system", OK, f"{machine.os_release().get('PRETTY_NAME', 'Linux')}, x86_64")
    else:
        yield Finding("system", PROBLEM, f"{system} {processor}: TFX has wheels for Linux x86_64 only", CONTAINER)
    if shutil.which("git"):
        yield Finding("git", OK, machine.output(["git", "--version"]))
    else:
        yield Finding("git", NOTE, "not on PATH: releases will not name their code revision", "Install git.")


def check_python() -> Iterator[Finding]:
    version = platform.python_version()
    refusal = os.environ.get("TRAINYARD_REFUSAL", "")  # the wrapper's message
    remedy = "Install Python 3.11, 3.12 or 3.13, or name one in TRAINYARD_PYTHON."
    if refusal:
        yield Finding("python", PROBLEM, refusal.replace("trainyard: ", "", 1), remedy)
    elif (3, 11) <= sys.version_info[:2] <= (3, 13):
        yield Finding("python", OK, f"{version} ({sys.executable}); 3.11, 3.12 and 3.13 will do")
    else:
        yield Finding(
            "python", PROBLEM, f"no Python 3.11-3.13 on PATH; python3 is {version} ({sys.executable})", remedy
        )


def check_uv() -> Iterator[Finding]:
    own = VENVS / "tools" / "bin" / "uv"
    uv = str(own) if own.is_file() else shutil.which("uv")
    if uv:
        yield Finding("uv", OK, f"{machine.output([uv, '--version'])} ({uv})")
    else:
        yield Finding("uv", NOTE, f"not here yet; fetched into {own.parent} when an environment is made")


def check_runtime() -> Iterator[Finding]:
    """TFX's compiled parts need glibc 2.38 and GCC 14's libstdc++; an older Debian or Ubuntu gets a private copy."""
    glibc, library = machine.glibc(), machine.libstdcxx()
    recent = library is not None and b"CXXABI_1.3.15" in library.read_bytes()
    found = (
        f"glibc {'.'.join(map(str, glibc)) or 'unknown'}, libstdc++ {'GCC 14 or later' if recent else 'before GCC 14'}"
    )
    if glibc >= (2, 38) and recent:
        yield Finding("C runtime", OK, found)
        return
    loader = VENVS / "pipelines" / "runtime" / "usr" / "lib" / "x86_64-linux-gnu" / "ld-linux-x86-64.so.2"
    if loader.exists():
        yield Finding("C runtime", OK, f"{found}: too old for TFX; the pipelines environment has a private one")
        return
    family = f"{machine.os_release().get('ID', '')} {machine.os_release().get('ID_LIKE', '')}"
    if any(name in family for name in ("debian", "ubuntu")) and shutil.which("apt-get") and shutil.which("dpkg"):
        message = f"{found}: too old for TFX; a private one is made inside the pipelines environment"
        yield Finding("C runtime", NOTE, message)
    else:
        message = f"{found}: TFX needs glibc 2.38 and GCC 14's libstdc++, and this is neither Debian nor Ubuntu"
        yield Finding("C runtime", PROBLEM, message, CONTAINER)


def check_environments() -> Iterator[Finding]:
    for name in ENVIRONMENTS:
        state = environment_state(name)
        title = f"environment {name}"
        if state == "current":
            yield Finding(title, OK, f"current ({VENVS / name})")
        elif state == "broken":
            remedy = f"Delete {VENVS / name}; the next command makes it again."
            yield Finding(title, PROBLEM, "its Python does not start", remedy)
        elif state.startswith("of "):
            remedy = "Name a folder of its own in TRAINYARD_VENVS."
            yield Finding(title, PROBLEM, f"{VENVS / name} is the environment of {state[3:]}", remedy)
        elif state == "moved":
            yield Finding(title, NOTE, "was made where this checkout no longer lies; the next command makes it again")
        elif state == "stale":
            yield Finding(title, NOTE, "made from an older uv.lock or pyproject.toml; the next command makes it again")
        else:
            yield Finding(title, NOTE, "not made yet; the first command that needs it makes it, or ./trainyard setup")


@functools.lru_cache(maxsize=None)  # noqa: UP033 Python 3.8
def environment_state(name: str) -> str:
    """missing, stale, moved, `of` another checkout, broken or current, according to bootstrap/environments.sh."""
    script = '. "$ROOT/bootstrap/environments.sh"; environment_state "$1"'
    environment = {**os.environ, "ROOT": str(ROOT), "VENVS": str(VENVS)}
    state = machine.output(["bash", "-c", script, "doctor", name], env=environment)
    if state != "current":
        return state or "missing"
    python = VENVS / name / "bin" / "python"
    return "current" if machine.succeeds([str(python), "-c", "import model_store"]) else "broken"


def check_network() -> Iterator[Finding]:
    """Only if something still has to be downloaded."""
    if all(environment_state(name) == "current" for name in ENVIRONMENTS):
        return
    index = machine.package_index()
    shown = index.split("@")[-1]
    try:
        with urllib.request.urlopen(f"{index.rstrip('/')}/uv/", timeout=10):  # noqa: S310 the person's own index
            yield Finding("package index", OK, f"{shown} answers")
    except (urllib.error.URLError, OSError, ValueError) as error:
        remedy = "Check network and proxy, or name your index in UV_DEFAULT_INDEX and PIP_INDEX_URL."
        yield Finding(
            "package index", PROBLEM, f"{shown} does not answer ({error}), and environments are missing", remedy
        )


def check_disk() -> Iterator[Finding]:
    """Space for environments that are still to be made, for runs and for temporary files."""
    to_make = sum(
        size
        for name, size in ENVIRONMENTS.items()
        if environment_state(name) in ("missing", "stale", "moved", "broken")
    )
    needs = {
        "environments": (VENVS, to_make),
        "runs and releases": (HOME, 1.0),
        "temporary files": (pathlib.Path(tempfile.gettempdir()), 0.5),
    }
    for what, (folder, needed) in needs.items():
        place = machine.nearest(folder)
        free = shutil.disk_usage(str(place)).free / GIB
        message = f"{free:.1f} GiB free for {what} in {folder}"
        if free >= needed:
            yield Finding("disk", OK, message)
        else:
            yield Finding(
                "disk",
                PROBLEM,
                f"{message}; {needed:.1f} GiB needed",
                f"Make room on the disk of {place}, or set {_VARIABLES[what]}.",
            )


_VARIABLES = {"environments": "TRAINYARD_VENVS", "runs and releases": "TRAINYARD_HOME", "temporary files": "TMPDIR"}


def check_machine() -> Iterator[Finding]:
    memory = machine.memory_bytes() / GIB
    if memory < 3:
        yield Finding("memory", PROBLEM, f"{memory:.1f} GiB; training beside Airflow needs 4", "Use a larger machine.")
    else:
        yield Finding("memory", OK if memory >= 4 else NOTE, f"{memory:.1f} GiB")
    cpus = machine.cpus()
    yield Finding("cpu", OK if cpus >= 2 else NOTE, f"{cpus:g} cores" + ("" if cpus >= 2 else "; it will be slow"))


def check_home() -> Iterator[Finding]:
    """Whether the folders are writable: of runs and releases, and of environments if one is still to be made."""
    folders = [("home", HOME, "TRAINYARD_HOME")]
    if any(environment_state(name) != "current" for name in ENVIRONMENTS):
        folders.append(("environments", VENVS, "TRAINYARD_VENVS"))
    for name, folder, variable in folders:
        place = machine.nearest(folder)
        try:
            with tempfile.TemporaryFile(dir=str(place)):
                yield Finding(name, OK, f"{folder} is writable")
        except OSError as error:
            remedy = f"Set {variable} to a folder of yours."
            yield Finding(name, PROBLEM, f"{place} cannot be written: {error.strerror}", remedy)


def check_platform() -> Iterator[Finding]:
    """The platform of this home, or the default ports if it is not running."""
    state = _running_platform()
    if state is not None:
        links = ", ".join(f"{name} {url}" for name, url in (state.get("urls") or {}).items())
        yield Finding("platform", OK, f"running: {links or HOME / 'platform.json'}; ./trainyard down stops it")
        return
    yield Finding("platform", OK, "not running")
    for what, port in PORTS.items():
        if machine.port_is_free(port):
            yield Finding("port", OK, f"{port} is free ({what})")
        else:
            yield Finding("port", NOTE, f"{port} is taken ({what}); demo and up choose a free port instead")


def check_datasets() -> Iterator[Finding]:
    cache = pathlib.Path(os.environ.get("TRAINYARD_DATASETS") or "~/.cache/trainyard/datasets").expanduser()
    found = sorted(path.name for path in cache.iterdir() if path.is_dir()) if cache.is_dir() else []
    yield Finding(
        "data sets", OK, f"taxi and digits come with the environments; in {cache}: {', '.join(found) or 'none'}"
    )
    for name, size in DATASETS_TO_FETCH.items():
        if name not in found:
            remedy = f"Offline: copy it to {cache / name}, or point TRAINYARD_DATASETS at a folder that has it."
            yield Finding(
                "data sets", NOTE, f"{name} is downloaded once ({size}) by the first run that needs it", remedy
            )


def check_docker() -> Iterator[Finding]:
    if not shutil.which("docker"):
        yield Finding("docker", NOTE, "not installed; only container images need it")
        return
    server = machine.output(["docker", "version", "--format", "{{.Server.Version}}"], timeout=10)
    if server:
        yield Finding("docker", OK, f"client and daemon {server}")
    else:
        yield Finding("docker", NOTE, "the client is here, its daemon does not answer; only container images need it")


CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (
    check_system,
    check_python,
    check_uv,
    check_runtime,
    check_environments,
    check_network,
    check_disk,
    check_machine,
    check_home,
    check_platform,
    check_datasets,
    check_docker,
)


def diagnose() -> list[Finding]:
    """All findings. A check that fails becomes a note, so that the others still run."""
    findings = []
    for check in CHECKS:
        try:
            findings += list(check())
        except Exception as error:  # odd machines may cause anything
            name = check.__name__.replace("check_", "")
            findings.append(Finding(name, NOTE, f"could not be checked ({type(error).__name__}: {error})"))
    return findings


def _running_platform() -> dict[str, Any] | None:
    try:
        state = json.loads((HOME / "platform.json").read_text(encoding="utf-8"))
        os.kill(int(state["supervisor"]["pid"]), 0)
    except PermissionError:
        return dict(state)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return dict(state)


_COLOURS = {OK: "\033[32m", NOTE: "\033[33m", PROBLEM: "\033[31m"}


def render(findings: list[Finding], colour: bool) -> str:
    """One line per finding, with its remedy below, and the conclusion."""
    lines = []
    for one in findings:
        state = f"{_COLOURS[one.state]}{one.state:7}\033[0m" if colour else f"{one.state:7}"
        lines.append(f"{state}  {one.name:21}  {one.message}")
        if one.remedy:
            lines.append(f"{'':32}-> {one.remedy}")
    problems = sum(one.state == PROBLEM for one in findings)
    lines.append("")
    if problems:
        lines.append(f"{problems} problem{'s' * (problems > 1)} to mend before ./trainyard demo works.")
    else:
        lines.append("Nothing stands in the way of ./trainyard demo.")
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    unknown = [argument for argument in arguments if argument != "--json"]
    if unknown:
        wanted_help = unknown[0] in ("-h", "--help")
        print(
            "usage: ./trainyard doctor [--json], or doctor --cluster [--help] for a Kubernetes cluster"
            + ("" if wanted_help else f"\nunknown argument {unknown[0]!r}")
        )
        return 0 if wanted_help else 2
    findings = diagnose()
    works = not any(one.state == PROBLEM for one in findings)
    if "--json" in arguments:
        print(
            json.dumps(
                {"works": works, "root": str(ROOT), "checks": [dataclasses.asdict(f) for f in findings]}, indent=2
            )
        )
    else:
        print(render(findings, sys.stdout.isatty() and "NO_COLOR" not in os.environ))
    return 0 if works else 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
