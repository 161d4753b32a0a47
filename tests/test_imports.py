"""Who may import whom (docs/design.md): nothing imports upward, nothing in a circle, and light processes stay light."""

from __future__ import annotations

import ast
import collections
import functools
import graphlib
import pathlib
from collections.abc import Iterable

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
# Each stands on those before it.
GROUND = (
    "spec",
    "tracing",
    "storage",
    "landing",
    "model_store",
    "vector_index",
    "answering",
    "components",
    "quality",
    "pipelines",
)
# What a room may import of ours besides itself. The longest prefix that matches a module decides.
MAY_IMPORT = {
    **{room: GROUND[:floor] for floor, room in enumerate(GROUND)},
    "tracing": (),
    "storage": ("spec",),
    "model_store": ("storage", "spec"),
    "vector_index": ("spec",),
    "answering": ("vector_index", "spec"),
    "components.progress": ("spec",),
    "components.columnar": ("components.progress", "spec"),
    "pipelines.datasets": ("spec",),
    "pipelines.metadata": ("components", "storage", "spec"),
    "serving": ("answering", "model_store", "storage", "tracing", "spec"),
    "airflow_kubeflow": (),
    "dags": ("airflow_kubeflow", "landing", "model_store", "storage", "tracing", "spec"),
    "embedded": ("pipelines.datasets", "pipelines.housekeeping", "components.sizes", "model_store", "storage", "spec"),
    "benchmarks": GROUND,
    "cli": (*GROUND, "benchmarks", "embedded"),
}
ROOMS = sorted({name.split(".")[0] for name in MAY_IMPORT})

# Libraries that must never load in a process of theirs.
_HEAVY = ("tensorflow", "tfx", "pyarrow", "numpy")
FORBIDDEN = {
    "airflow_kubeflow": ("tensorflow", "tfx", "kfp", "kubernetes"),
    "cli": ("tensorflow", "tfx", "kfp", "kubernetes"),
    "dags": ("tensorflow", "tfx", "great_expectations", "kfp", "components"),
    "embedded": ("tensorflow", "tfx", "great_expectations", "kfp"),
    "serving": ("tfx", "great_expectations", "kfp", "airflow"),
    **dict.fromkeys(("spec", "tracing", "storage", "landing", "model_store", "components.progress"), _HEAVY),
    # Every command's parser is built with these loaded, and a pod that refuses its input loads no TFX for it.
    "pipelines.housekeeping": ("tensorflow", "tfx"),
    # A consumer loads TensorFlow, and none of them TFX; a supervisor waits without either.
    "pipelines.queue": ("tfx", "tensorflow"),
    **dict.fromkeys((f"pipelines.metadata.{name}" for name in ("attempts", "connecting", "deleting")), ("tfx",)),
    # A node's pod never builds a pipeline; a cluster's files are read before TFX's seconds of imports.
    "pipelines.runners.kubeflow": ("kfp", "kubernetes"),
    "pipelines.runners.kubeflow.compiler": (),
    "pipelines.runners.kubeflow.client": ("tensorflow", "tfx"),
    "pipelines.runners.kubeflow.pods": ("tensorflow", "tfx"),
    "pipelines.runners.kubeflow.tasks": ("tensorflow", "tfx"),
    "pipelines.runners.kubeflow.node": ("kfp", "kubernetes", "tensorflow"),
    # The two places that talk to Kubernetes itself; they are imported where a job has several nodes, and by the doctor.
    "pipelines.runners.kubeflow.multi_node.jobs": ("kfp", "tensorflow", "tfx"),
    "pipelines.runners.kubeflow.doctor.api": ("kfp", "tensorflow", "tfx"),
    **{
        f"pipelines.runners.kubeflow.{name}": ("kfp", "kubernetes", "tensorflow", "tfx")
        for name in (
            "cluster",
            "doctor.checks",
            "executor_output",
            "lint",
            "messages",
            "multi_node.manifest",
            "pod.refusals",
            "resume",
            "retries",
            "run_parameters",
            "submit",
            "watching",
        )
    },
}


@functools.cache
def files() -> dict[str, pathlib.Path]:
    """Module -> file; a package's own module is called `package.__init__`."""
    paths = (path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py")))
    return {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in paths}


@functools.cache
def imported(module: str) -> frozenset[str]:
    """All that a module imports, functions and type checking included, as it is written there."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(files()[module].read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}, line {node.lineno}: relative import; name the module whole"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(names)


def file_of(name: str) -> str | None:
    """The module of ours that `import name` reads: itself, its package, or what defines the name."""
    while name:
        for module in (name, f"{name}.__init__"):
            if module in files():
                return module
        name = name.rpartition(".")[0]
    return None


@functools.cache
def arrows() -> frozenset[tuple[str, str]]:
    """(module, module that it imports), both ours."""
    return frozenset(
        (module, target)
        for module in files()
        for name in imported(module)
        if (target := file_of(name)) is not None and target != module
    )


def rule(table: dict[str, tuple[str, ...]], module: str) -> tuple[str, tuple[str, ...]]:
    room = max((room for room in table if within(module, (room,))), key=len, default="")
    return room, table.get(room, ())


def within(name: str, rooms: tuple[str, ...]) -> bool:
    return any(name == room or name.startswith(room + ".") for room in rooms)


@pytest.mark.parametrize("module", files())
def test_imports_go_downward(module: str) -> None:
    room, allowed = rule(MAY_IMPORT, module)
    upward = {name for name in imported(module) if name.split(".")[0] in ROOMS and not within(name, (room, *allowed))}
    assert not upward, f"{module} may import {allowed or 'nothing of ours'}. Received: {sorted(upward)}"
    _, forbidden = rule(FORBIDDEN, module)
    heavy = {name for name in imported(module) if within(name, forbidden)}
    assert not heavy, f"{module} must not load {sorted(heavy)}"


def circles(pairs: Iterable[tuple[str, str]]) -> str:
    """What imports itself by way of others, in words; empty if nothing does."""
    graph: dict[str, set[str]] = collections.defaultdict(set)
    for one, other in pairs:
        if one != other:
            graph[one].add(other)
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return " <- ".join(error.args[1])
    return ""


def test_no_files_import_each_other_in_a_circle() -> None:
    assert not circles(arrows())


def test_no_packages_import_each_other_in_a_circle() -> None:
    """A package is a folder with the files that lie in it itself; its sub-folders are packages of their own."""
    assert not circles((module.rpartition(".")[0], target.rpartition(".")[0]) for module, target in arrows())


def test_what_begins_with_an_underscore_is_imported_by_its_own_package_alone() -> None:
    reached = set()
    for module, target in arrows():
        parts = target.split(".")
        private = next((i for i, part in enumerate(parts) if part.startswith("_") and part != "__init__"), None)
        if private and not within(module, (".".join(parts[:private]), "benchmarks")):
            reached.add(f"{module} imports {target}")
    assert not reached, "\n".join(sorted(reached))


def test_every_room_has_its_rule_and_every_rule_its_room() -> None:
    known = {*ROOMS, "bootstrap", "tests"}  # bootstrap runs before there is an environment
    found = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert not found - known, f"no rule for {sorted(found - known)}; write one here and in docs/design.md"
    stale = {room for room in (*MAY_IMPORT, *FORBIDDEN) if not any(within(module, (room,)) for module in files())}
    assert not stale, f"no such room or module: {sorted(stale)}"
