"""Where Trainyard keeps what it makes on this machine. Imports nothing heavier than pathlib: every process uses it."""

from __future__ import annotations

import contextlib
import hashlib
import os
import pathlib

from spec import environment as env

ROOT = pathlib.Path(os.environ.get(env.ROOT) or pathlib.Path(__file__).resolve().parents[1])


def home() -> pathlib.Path:
    """All state of this machine: TRAINYARD_HOME, else .trainyard/ in the checkout."""
    return _literal(pathlib.Path(os.environ.get(env.HOME) or ROOT / ".trainyard").absolute())


def _literal(folder: pathlib.Path) -> pathlib.Path:
    """A path to the folder that TensorFlow takes for no pattern: it reads a checkpoint in `[raw]/` as one in `r/`, `a/` or `w/`.

    A folder with such a character in its path gets a link in the user's cache, the same one each time (docs/decisions/0029).
    """
    if not any(character in str(folder) for character in "*?[\\"):
        return folder
    places = (
        pathlib.Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser().absolute() / "trainyard" / "places"
    )
    link = places / hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]
    folder.mkdir(parents=True, exist_ok=True)  # what a link leads to can be made only by the folder's own name
    places.mkdir(parents=True, exist_ok=True, mode=0o700)
    with contextlib.suppress(FileExistsError):
        link.symlink_to(folder)
    return link


def data_root() -> pathlib.Path:
    """The landing folder, `<data root>/<workload>/span-<n>/`: TRAINYARD_DATA, else data/ in the home."""
    return pathlib.Path(os.environ.get(env.DATA) or home() / "data").absolute()


def data_uri() -> str:
    """What `{DATA}` stands for, where it may be a URL: TRAINYARD_DATA may name an object store that Airflow only watches."""
    named = os.environ.get(env.DATA) or ""
    return named.rstrip("/") if "://" in named else str(data_root())


def store_uri() -> str:
    """The model store, a folder or any fsspec URL: TRAINYARD_STORE, else models/ in the home."""
    named = os.environ.get(env.STORE) or ""
    return named if "://" in named else str(_literal(pathlib.Path(named).absolute()) if named else home() / "models")


def api_keys() -> pathlib.Path:
    """The file of the model server's API keys: TRAINYARD_API_KEYS, else api-keys.json in the home."""
    return pathlib.Path(os.environ.get(env.API_KEYS) or home() / "api-keys.json").absolute()


def datasets_cache() -> pathlib.Path:
    """Downloaded data sets, one folder each: TRAINYARD_DATASETS, else ~/.cache/trainyard/datasets."""
    return pathlib.Path(os.environ.get(env.DATASETS) or "~/.cache/trainyard/datasets").expanduser().absolute()


def pipeline_root(workload: str) -> pathlib.Path:
    """Artifacts of a workload's pipeline runs."""
    return home() / "pipelines" / workload


def runs_root(workload: str) -> pathlib.Path:
    """One folder a run: `run.json`, `log.txt`, `report.html`."""
    return home() / "runs" / workload


def environment_python(name: str) -> pathlib.Path:
    """The Python of one of the environments that ./trainyard makes: pipelines, serving or airflow."""
    return pathlib.Path(os.environ.get(env.VENVS) or ROOT / ".venv") / name / "bin" / "python"


def workloads_root() -> pathlib.Path:
    """The workload folders: TRAINYARD_WORKLOADS, else pipelines/workloads in the checkout."""
    return pathlib.Path(os.environ.get(env.WORKLOADS) or ROOT / "pipelines" / "workloads").absolute()


def schemas_root() -> pathlib.Path:
    """The reviewed contracts, one folder a workload: TRAINYARD_SCHEMAS, else schemas/ in the checkout."""
    return pathlib.Path(os.environ.get(env.SCHEMAS) or ROOT / "schemas").absolute()
