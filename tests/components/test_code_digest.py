"""The part of a cache key that is code: it changes with all that a component imports, and with nothing else."""

from __future__ import annotations

import ast
import pathlib
import time

import pytest

from components import code_digest, code_files
from components.code_digest import Code
from components.schema.component import SchemaImporter
from pipelines.training import code_of
from spec import graph

ROOT = pathlib.Path(code_digest.__file__).resolve().parents[1]
FILES = {
    "rooms/__init__.py": "",
    "rooms/trainer/__init__.py": "from rooms.trainer.component import Trainer",
    "rooms/trainer/component.py": "from rooms.trainer.executor import Executor\nclass Trainer: ...",
    "rooms/trainer/executor.py": "import json\nfrom ground import (\n    errors,  # (all of them)\n    splits as parts,\n)\n"
    "def do():\n    from rooms import lazily\n    return [python, '-m', 'rooms.worker']\n",
    "rooms/trainer/_unused.py": "",
    "rooms/trainer/defaults/rates.csv": "1",
    "rooms/lazily.py": "",
    "rooms/worker.py": "import ground.deep.end",
    "rooms/report/__init__.py": "from rooms.report.component import Report",
    "rooms/report/component.py": "from rooms import trainer\nclass Report: ...",
    "rooms/report/page.html": "<p>",
    "ground/errors.py": "",
    "ground/splits.py": "",
    "ground/unrelated.py": "",
    "ground/deep/end.py": "",
}


@pytest.fixture
def tree(tmp_path: pathlib.Path) -> pathlib.Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def changes(tree: pathlib.Path, name: str, module: str = "rooms.trainer.component") -> bool:
    """Whether an edit of a file changes a module's digest."""
    before = Code(tree).digest(module)
    with (tree / name).open("a") as file:
        file.write("\n# edited")
    return Code(tree).digest(module) != before


@pytest.mark.parametrize(
    "name",
    [
        "rooms/__init__.py",
        "rooms/trainer/__init__.py",
        "rooms/trainer/executor.py",
        "rooms/trainer/defaults/rates.csv",
        "rooms/lazily.py",
        "rooms/worker.py",
        "ground/errors.py",
        "ground/splits.py",
        "ground/deep/end.py",
    ],
)
def test_an_edit_of_what_a_component_imports_changes_its_digest(tree: pathlib.Path, name: str) -> None:
    assert changes(tree, name)


@pytest.mark.parametrize(
    "name",
    ["rooms/report/component.py", "rooms/report/page.html", "rooms/trainer/_unused.py", "ground/unrelated.py"],
)
def test_an_edit_of_anything_else_does_not(tree: pathlib.Path, name: str) -> None:
    assert not changes(tree, name)


def test_who_imports_another_component_depends_on_it(tree: pathlib.Path) -> None:
    assert changes(tree, "rooms/lazily.py", "rooms.report.component")
    assert changes(tree, "rooms/report/page.html", "rooms.report.component")


def test_modules_are_looked_for_below_each_root(tree: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    own = tmp_path_factory.mktemp("own")
    (own / "mine.py").write_text("import rooms.worker")
    assert set(Code(tree, own).files("mine")) == {
        "mine.py",
        "rooms/__init__.py",
        "rooms/worker.py",
        "ground/deep/end.py",
    }


def test_imports_are_found_as_pythons_own_parser_finds_them() -> None:
    for path in (path for room in ("components", "spec") for path in (ROOT / room).rglob("*.py")):
        found, imported = set(code_digest.names_in(path.read_text())), set[str]()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported |= {f"{node.module}.{alias.name}" for alias in node.names}
        assert imported <= found, f"{path}: {imported - found}"


def test_a_model_does_not_depend_on_what_comes_after_it() -> None:
    files = Code(ROOT).files("components.trainer.executor")
    assert {"components/trainer/_fitting.py", "components/tasks/ranking.py", "spec/errors.py"} <= set(files)
    after = ("evaluator", "report", "pusher", "infra_validator", "baseline", "drift", "data_quality")
    assert not [name for name in files if name.startswith(tuple(f"components/{one}/" for one in after))]
    ingestion = Code(ROOT).files("components.ingestion.executor")
    assert "components/columnar/_worker_main.py" in ingestion and "components/tasks/ranking.py" not in ingestion
    assert "components/report/templates/page.html.j2" in Code(ROOT).files("components.report.executor")


def test_what_reads_the_graph_depends_on_the_records_and_on_no_more_of_the_components() -> None:
    """But for the report's package, which makes the model card of a release."""
    files = set(Code(ROOT).files("components.pusher.executor"))
    assert {f"{package.replace('.', '/')}/record.py" for package in graph.TRAINING} <= files
    assert not [name for name in files if name.startswith(("components/evaluator/judg", "components/trainer/_fitting"))]


def test_a_big_file_is_read_again_once_it_has_changed(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "vocabulary.txt"
    file.write_bytes(b"a" * 2**21)
    first = code_files.sha256(file)
    time.sleep(0.02)  # longer than the file system's clock ticks
    file.write_bytes(b"b" * 2**21)
    assert code_files.sha256(file) != first


def test_a_use_cases_own_task_is_code_of_every_node(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "task.py").write_text("from spec.tasks import TaskFacts\nclass Mine(TaskFacts): ...\n")
    monkeypatch.setenv("TRAINYARD_WORKLOADS", str(tmp_path))
    assert code_of("mine.task.Mine") == [tmp_path / "mine"]
    assert code_of("binary") == []


def test_code_of_other_folders_is_added_to_the_key_of_a_component(tmp_path: pathlib.Path) -> None:
    (tmp_path / "task.py").write_text("")

    def flags(*folders: pathlib.Path) -> list[str]:
        component = SchemaImporter(str(tmp_path / "schema.pbtxt"))
        code_digest.add_to_cache_keys([component], folders)
        return list(component.executor_spec.extra_flags)

    first = flags(tmp_path)
    assert first == [f"{flags()[0]}-{code_files.digest(tmp_path)}"]
    (tmp_path / "task.py").write_text("# edited")
    assert flags(tmp_path) != first
