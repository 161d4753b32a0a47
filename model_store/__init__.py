"""Releases of models: published atomically, verified by digest, found by label, rolled back with one call.

The layout is TF Serving's (`<store>/<model>/<version>/saved_model.pb`), plus `release.json` in each version and
`labels.json` and `history.jsonl` beside them. A store is a folder or any URL that fsspec can write.

Example:
    >>> import pathlib, tempfile
    >>> from model_store import ModelStore, ReleaseDraft
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> (folder / "export").mkdir()
    >>> _ = (folder / "export" / "saved_model.pb").write_bytes(b"a graph")
    >>> store = ModelStore(folder / "models")
    >>> release = store.publish("taxi", folder / "export", ReleaseDraft(publication_key="run-1", task="binary"))
    >>> release.version, store.verify("taxi", 1)
    (1, ())
    >>> _ = store.promote("taxi", 1, reason="first release", actor="me")
    >>> store.resolve("taxi", "stable").version
    1
"""

from model_store._copies import Copies
from model_store._errors import StoreError
from model_store._folders import files_in
from model_store._label_file import Label
from model_store._labels import CANARY, STABLE, HistoryEntry
from model_store._release import (
    CARD_FILE,
    KERAS_FILE,
    RELEASE_FILE,
    VARIANTS_FOLDER,
    Release,
    ReleaseDraft,
    variants_in,
)
from model_store._signing import Keys
from model_store._store import ModelStore

__all__ = [
    "CANARY",
    "CARD_FILE",
    "KERAS_FILE",
    "RELEASE_FILE",
    "STABLE",
    "VARIANTS_FOLDER",
    "Copies",
    "HistoryEntry",
    "Keys",
    "Label",
    "ModelStore",
    "Release",
    "ReleaseDraft",
    "StoreError",
    "files_in",
    "variants_in",
]
