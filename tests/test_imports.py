"""Who may import whom (docs/design.md): each room of the house names what it stands on, and nothing imports upward."""

from __future__ import annotations

import ast
import pathlib

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
OURS = (
    "airflow_kubeflow",
    "benchmarks",
    "cli",
    "components",
    "dags",
    "embedded",
    "landing",
    "model_store",
    "pipelines",
    "quality",
    "serving",
    "spec",
)

# The longest prefix that matches a module decides. What a room may import of ours besides itself:
MAY_IMPORT = {
    "spec": (),
    "landing": ("spec",),
    "model_store": ("spec",),
    "components.columnar": ("components.progress", "spec"),
    "components.progress": ("spec",),
    "components": ("landing", "model_store", "spec"),
    "quality": ("components", "landing", "model_store", "pipelines", "spec"),
    "pipelines": ("components", "embedded", "landing", "model_store", "quality", "spec"),
    "pipelines.datasets": ("spec",),
    "serving": ("model_store", "spec"),
    "dags": ("airflow_kubeflow", "landing", "model_store", "spec"),
    "embedded": ("model_store", "pipelines.datasets", "spec"),
    "airflow_kubeflow": (),
    "benchmarks": ("components", "pipelines", "quality", "spec"),
    "cli": ("benchmarks", "components", "embedded", "landing", "model_store", "pipelines", "quality", "spec"),
}

# Libraries that must never load in a process of theirs.
FORBIDDEN = {
    "airflow_kubeflow": ("tensorflow", "tfx", "kfp", "kubernetes"),
    "dags": ("tensorflow", "tfx", "great_expectations", "kfp", "components"),
    "embedded": ("tensorflow", "tfx", "great_expectations", "kfp"),
    "serving": ("tfx", "great_expectations", "kfp", "airflow"),
    "landing": ("tensorflow", "tfx", "pyarrow", "numpy"),
    "model_store": ("tensorflow", "tfx", "pyarrow", "numpy"),
    "spec.workload": ("tensorflow", "tfx", "pyarrow", "numpy"),
    "components.progress": ("tensorflow", "tfx", "pyarrow", "numpy"),
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
            "cli",
            "doctor.checks",
            "doctor.cli",
            "executor_output",
            "lint",
            "messages",
            "metadata",
            "metadata_store",
            "multi_node.manifest",
            "pools",
            "resume",
            "retries",
            "run_parameters",
            "runs_cli",
            "site",
            "submit",
            "transfer",
            "ui",
            "watching",
        )
    },
    # The CLI imports it for every command.
    "benchmarks.pipeline.cli": ("tensorflow", "tfx", "pyarrow", "numpy", "pipelines", "components"),
}


def modules() -> list[tuple[str, pathlib.Path]]:
    found = []
    for room in OURS:
        for path in sorted((ROOT / room).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            found.append((name.removesuffix(".__init__"), path))
    return found


def imported(path: pathlib.Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}, line {node.lineno}: relative import; name the module whole"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def rule(table: dict[str, tuple[str, ...]], module: str) -> tuple[str, tuple[str, ...]]:
    rooms = [room for room in table if module == room or module.startswith(room + ".")]
    room = max(rooms, key=len, default="")
    return room, table.get(room, ())


def within(name: str, rooms: tuple[str, ...]) -> bool:
    return any(name == room or name.startswith(room + ".") for room in rooms)


@pytest.mark.parametrize(("module", "path"), modules(), ids=lambda value: value if isinstance(value, str) else "")
def test_imports_go_downward(module: str, path: pathlib.Path) -> None:
    room, allowed = rule(MAY_IMPORT, module)
    assert room, f"{module}: no rule for this room; write one in MAY_IMPORT and in docs/design.md"
    ours = {name for name in imported(path) if name.split(".")[0] in OURS}
    upward = {name for name in ours if not within(name, (room, *allowed))}
    assert not upward, f"{module} may import {allowed or 'nothing of ours'}. Received: {sorted(upward)}"
    _, forbidden = rule(FORBIDDEN, module)
    heavy = {name for name in imported(path) if within(name, forbidden)}
    assert not heavy, f"{module} must not load {sorted(heavy)}"


def test_there_is_a_house() -> None:
    assert len(modules()) > 50
