"""A workload's own code: which files belong to it, which it may read, and that what is run is what was keyed."""

from __future__ import annotations

import os
import pathlib

import pytest

from components import code_files, user_code
from spec.errors import ChangedError, InputError


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    folder = tmp_path / "workloads" / "churn"
    (folder / "vocabularies").mkdir(parents=True)
    (folder / "features.py").write_text(
        "import json, pathlib\nimport helper\nHERE = pathlib.Path(__file__).parent\n"
        "REGIONS = json.loads((HERE / 'regions.json').read_text())\n"
        "def preprocessing_fn(inputs):\n    return helper.read(inputs)\n"
    )
    (folder / "helper.py").write_text("def read(path):\n    with open(path) as file:\n        return file.read()\n")
    (folder / "regions.json").write_text('{"Lyon": "south"}')
    (folder / "vocabularies" / "city.txt").write_text("Lyon\n")
    (tmp_path / "shared.json").write_text("{}")
    return folder


@pytest.mark.parametrize(
    "name", ["features.py", "helper.py", "regions.json", "vocabularies/city.txt", "new.csv", "link.json"]
)
def test_every_file_of_the_folder_is_in_its_digest(folder: pathlib.Path, name: str) -> None:
    (folder / "link.json").symlink_to(folder.parents[1] / "shared.json")
    before = code_files.digest(folder)
    with (folder / name).open("a") as file:
        file.write("# edited\n")
    assert code_files.digest(folder) != before


@pytest.mark.parametrize(
    "name",
    [
        "__pycache__/features.cpython-313.pyc",
        ".features.py.swp",
        "features.py~",
        ".git/HEAD",
        "workload.yaml",
        "#model.py#",
    ],
)
def test_what_editors_and_interpreters_leave_is_not(folder: pathlib.Path, name: str) -> None:
    before = code_files.digest(folder)
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text("x")
    (folder / "nowhere").symlink_to("absent")
    (folder / "vocabularies" / "up").symlink_to("..")
    assert code_files.digest(folder) == before


def test_a_folder_by_another_name_is_the_same_code(folder: pathlib.Path, tmp_path: pathlib.Path) -> None:
    (tmp_path / "link").symlink_to(folder)
    assert code_files.digest(tmp_path / "link") == code_files.digest(folder)
    assert user_code.load_function(f"{tmp_path}/link/features.py", "preprocessing_fn", code_files.digest(folder))


def test_files_of_the_folder_may_be_read_and_others_not(folder: pathlib.Path, tmp_path: pathlib.Path) -> None:
    module = str(folder / "features.py")
    function = user_code.load_function(module, "preprocessing_fn")
    shared, other = tmp_path / "shared.json", folder.parent / "other.txt"
    other.write_text("another workload's")
    (folder / "link.json").symlink_to(shared)
    (folder / "workload.yaml").write_text("name: churn")
    for allowed in (folder / "vocabularies" / "city.txt", folder / "link.json", pathlib.Path(os.__file__), os.devnull):
        with user_code.calling(module):
            function(allowed)
    (folder / "link.json").unlink()
    for refused in (shared, other):
        with pytest.raises(InputError, match=rf"helper\.py, line 2: opens {refused}, which lies outside"):
            with user_code.calling(module):
                function(refused)
    with pytest.raises(InputError, match=r"workload\.yaml, which is left out"):
        with user_code.calling(module):
            function(folder / "workload.yaml")
    function(shared)  # the guard stands around the workload's code alone


def test_what_the_code_writes_it_may_read(folder: pathlib.Path, tmp_path: pathlib.Path) -> None:
    module, keyed = str(folder / "features.py"), code_files.digest(folder)
    user_code.load_function(module, "preprocessing_fn", keyed)
    with user_code.calling(module, keyed):
        (tmp_path / "scratch.txt").write_text("x")
        assert (tmp_path / "scratch.txt").read_text() == "x"


def test_a_module_from_elsewhere_is_not_imported(folder: pathlib.Path, tmp_path: pathlib.Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "elsewhere.py").write_text("X = 1\n")
    (folder / "model.py").write_text(f"import sys\nsys.path.append({str(tmp_path / 'lib')!r})\nimport elsewhere\n")
    with pytest.raises(InputError, match=r"model\.py, line 3: opens .*elsewhere\.py, which lies outside"):
        user_code.load_function(str(folder / "model.py"), "build_model")


def test_what_runs_is_what_was_keyed(folder: pathlib.Path) -> None:
    module, keyed = str(folder / "features.py"), code_files.digest(folder)
    (folder / "regions.json").write_text('{"Lyon": "north"}')
    with pytest.raises(ChangedError, match="churn: changed while it was being read"):
        user_code.load_function(module, "preprocessing_fn", keyed)
    keyed = code_files.digest(folder)
    function = user_code.load_function(module, "preprocessing_fn", keyed)
    assert function.__globals__["REGIONS"] == {"Lyon": "north"}
    (folder / "features.py").write_text("raise RuntimeError\n")
    again = user_code.load_function(module, "preprocessing_fn", keyed)
    assert again is function, "what was loaded is at work, whoever edits it"
    with user_code.calling(module, keyed):
        function(folder / "vocabularies" / "city.txt")
    (folder / "vocabularies" / "city.txt").write_text("Nice\n")
    with pytest.raises(ChangedError, match=r"city\.txt: changed"):
        with user_code.calling(module, keyed):
            function(folder / "vocabularies" / "city.txt")


def test_an_edit_within_a_second_is_not_answered_by_a_compiled_file(folder: pathlib.Path) -> None:
    import py_compile

    module = folder / "model.py"
    module.write_text("def build_model():\n    return 1\n")
    py_compile.compile(str(module))
    was = module.stat()
    module.write_text("def build_model():\n    return 2\n")
    os.utime(module, ns=(was.st_atime_ns, was.st_mtime_ns))
    assert user_code.load_function(str(module), "build_model")() == 2
