from __future__ import annotations

import pathlib
import uuid
from collections.abc import Callable

import pytest

from model_store import ModelStore, ReleaseDraft

MakeExport = Callable[..., pathlib.Path]


@pytest.fixture
def make_export(tmp_path: pathlib.Path) -> MakeExport:
    """A folder with a SavedModel's files; the store never looks into them."""

    def make(text: str = "a graph", name: str = "export") -> pathlib.Path:
        folder = tmp_path / name
        for path in ("saved_model.pb", "variables/variables.index", "assets/vocabulary", "assets.extra/trainyard.json"):
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(f"{path}: {text}")
        return folder

    return make


@pytest.fixture
def draft() -> Callable[[str], ReleaseDraft]:
    """A draft by publication key."""

    def make(key: str = "run-1") -> ReleaseDraft:
        return ReleaseDraft(
            publication_key=key,
            task="binary",
            spans=[{"span": 1, "digest": "sha256:0", "rows": 7500}],
            code_revision="abc123",
            metrics={"overall": {"auc": 0.81, "recall": float("nan")}},
            gates=[{"gate": "evaluation", "passes": True, "summary": "evaluation: 2 checks passed"}],
            run_id=key,
            pipeline="taxi",
        )

    return make


@pytest.fixture(params=["folder", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> ModelStore:
    """The same store in a folder and in an object store (fsspec's in memory)."""
    if request.param == "folder":
        return ModelStore(tmp_path / "models")
    return ModelStore(f"memory://{uuid.uuid4().hex}/models")
