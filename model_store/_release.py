"""What a release is, and how `release.json` says it."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import json
import math
import pathlib
import typing
from collections.abc import Mapping
from types import UnionType
from typing import Any

from model_store._errors import StoreError
from model_store._signing import Keys

RELEASE_FILE = "release.json"
KERAS_FILE = "assets.extra/model.keras"
"""Of a release: the model as Keras keeps it, for people; whoever serves or judges the SavedModel can do without."""
VARIANTS_FOLDER = "assets.extra/variants"
"""Of a release: compressed variants of the model, each a folder like the release's own."""
CARD_FILE = "assets.extra/model_card.json"
"""Of a release: its model card, as plain data."""
# Fields that came later, with what they are in releases without them: `release.json` then does not have them.
_ADDED: dict[str, Any] = {"code_digest": "", "search": {}, "privacy": {}, "built_on": {}}


@dataclasses.dataclass(frozen=True)
class ReleaseDraft:
    """What the publisher knows of a model before it has a version.

    Attributes:
        publication_key: names this publication. A second publish with the same key returns the first release, so that
            a crash between publishing and recording it does not publish twice.
        task: binary, multiclass, regression or ranking.
        spans: the data, `[{"span": 2, "digest": "sha256:...", "rows": 7500}]`.
        code_revision: the revision of the code that trained it.
        metrics: the evaluation; what is not finite becomes null.
        gates: what it passed, `[{"gate": "evaluation", "passes": true, "summary": "..."}]`.
        parent: the version that was stable when it was trained, if any.
        run_id: the run that made it.
        pipeline: the pipeline that made it.
        code_digest: SHA-256 over the code that trained it, whether or not it is a commit's; empty in releases of an earlier
            Trainyard.
        search: which hyper-parameters were searched, and what won; empty where none were.
        built_on: the releases that went into it: `start`, whose weights training began with, and `teacher`; each has `model`,
            `version` and `digest`.
        privacy: epsilon and delta that the training spent, and by which noise; empty where it was not private.
    """

    publication_key: str
    task: str
    spans: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    code_revision: str = ""
    metrics: dict[str, Any] = dataclasses.field(default_factory=dict)
    gates: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    parent: int | None = None
    run_id: str = ""
    pipeline: str = ""
    code_digest: str = ""
    search: dict[str, Any] = dataclasses.field(default_factory=dict)
    privacy: dict[str, Any] = dataclasses.field(default_factory=dict)
    built_on: dict[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Release(ReleaseDraft):
    """A published model: what `release.json` says, and where it lies.

    Attributes:
        version: counts up from 1 and is never used again.
        uri: the folder of the SavedModel. Not in `release.json`, so that a store may be moved or copied.
        created_at: ISO 8601, in UTC.
        files: relative path -> `{"sha256": hex, "bytes": n}` of every file but `release.json`.
        digest: SHA-256 over `files`: two releases with the same digest hold the same bytes.
        seal: SHA-256 over everything else in `release.json`; a changed field breaks it.
        signature: `{"algorithm": "ed25519", "key": id, "value": base64}` over everything else but the seal; None if the
            publisher had no key.
    """

    model: str
    version: int
    uri: str
    created_at: str
    files: dict[str, dict[str, Any]]
    digest: str
    seal: str
    signature: dict[str, str] | None = None

    @property
    def variants(self) -> tuple[str, ...]:
        """The names of its compressed variants."""
        parts = (pathlib.PurePosixPath(name).parts for name in self.files if name.startswith(f"{VARIANTS_FOLDER}/"))
        return tuple(dict.fromkeys(sorted(one[2] for one in parts)))

    def as_dict(self) -> dict[str, Any]:
        """All fields, `uri` included, ready for JSON."""
        return dataclasses.asdict(self)

    def to_json(self) -> str:
        """The text of `release.json`: canonical, so that every changed byte shows."""
        document = self.as_dict()
        del document["uri"]
        _leave_out_empty(document)  # as it was written, byte for byte
        if self.signature is None:
            del document["signature"]
        return canonical_json(document)


def variants_in(release: pathlib.Path) -> dict[str, pathlib.Path]:
    """The folders of a release's compressed variants, by name."""
    folder = release / VARIANTS_FOLDER
    return {one.name: one for one in sorted(folder.iterdir())} if folder.is_dir() else {}


def seal_release(
    draft: ReleaseDraft,
    model: str,
    version: int,
    uri: str,
    created_at: str,
    files: Mapping[str, dict[str, Any]],
    keys: Keys,
) -> Release:
    """Completes a draft: digest over the files, signature if there is a key for it, seal over the whole."""
    said = _finite(dataclasses.asdict(draft))
    _leave_out_empty(said)
    digest = _sha256(canonical_json(dict(files)))
    document = {
        "model": model,
        "version": version,
        "created_at": created_at,
        **said,
        "files": dict(files),
        "digest": digest,
    }
    if signature := keys.sign(canonical_json(document)):
        document["signature"] = signature
    return Release(uri=uri, seal=_seal(document), **document)


def _leave_out_empty(document: dict[str, Any]) -> None:
    for name in _ADDED:
        if not document[name]:
            del document[name]


def parse_release(text: bytes, uri: str) -> Release:
    """Reads `release.json`.

    Raises:
        StoreError: it is not JSON, or a field is missing.
    """
    known = {field.name for field in dataclasses.fields(Release)} - {"uri", "signature", *_ADDED}
    try:
        document = json.loads(text)
        # Fields that a later Trainyard adds are left aside; the seal covers them all the same (release_problems).
        added = {name: document.get(name, empty) for name, empty in (("signature", None), *_ADDED.items())}
        release = Release(uri=uri, **added, **{name: document[name] for name in known})
    except KeyError as error:
        raise StoreError(
            f"{uri}/{RELEASE_FILE} is damaged: field {error} is missing. Publish the model again."
        ) from None
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise StoreError(f"{uri}/{RELEASE_FILE} is damaged: {error}. Publish the model again.") from None
    if wrong := _wrong_type(release):
        raise StoreError(f"{uri}/{RELEASE_FILE} is damaged: field {wrong}. Publish the model again.")
    if any(_leads_out(name) for name in release.files):
        raise StoreError(f"{uri}/{RELEASE_FILE} is damaged: a file lies outside the release. Publish the model again.")
    return release


# The type of each field of `release.json`; readers rely on it.
_KINDS = {
    name: tuple(
        typing.get_origin(kind) or kind for kind in (typing.get_args(hint) if isinstance(hint, UnionType) else (hint,))
    )
    for name, hint in typing.get_type_hints(Release).items()
}


def _wrong_type(release: Release) -> str:
    """The first field that is not of its type, in words; empty if none is."""
    for name, kind in _KINDS.items():
        value = getattr(release, name)
        if not isinstance(value, kind):
            return f"{name} is a {type(value).__name__}"
    for name, values in (("spans", release.spans), ("gates", release.gates), ("files", release.files.values())):
        if not all(isinstance(value, dict) for value in values):
            return f"{name} does not hold objects"
    try:
        datetime.datetime.fromisoformat(release.created_at)
    except ValueError:
        return f"created_at is no time: {release.created_at!r}"
    return ""


def _leads_out(name: str) -> bool:
    path = pathlib.PurePosixPath(name)
    return path.is_absolute() or ".." in path.parts


def release_problems(text: bytes, keys: Keys) -> list[str]:
    """What was changed in `release.json` since it was published, or that nobody trusted signed it; empty when neither."""
    try:
        document = json.loads(text)
        seal = document.pop("seal")
        intact = seal == _seal(document) and canonical_json({**document, "seal": seal}).encode() == text
        signature = document.pop("signature", None)
        distrust = keys.problem(canonical_json(document), signature)
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        return [f"{RELEASE_FILE} cannot be read ({type(error).__name__}: {error})"]
    problems = [] if intact else [f"{RELEASE_FILE} was changed after publishing (its seal does not fit)"]
    return [*problems, distrust] if distrust else problems


def canonical_json(document: Any) -> str:
    """JSON with sorted keys and one spelling."""
    return json.dumps(document, sort_keys=True, indent=1, allow_nan=False, default=_plain) + "\n"


def _seal(document: Mapping[str, Any]) -> str:
    return _sha256(canonical_json(dict(document)))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: Any) -> Any:
    """NumPy's scalars and arrays, without importing NumPy."""
    if hasattr(value, "tolist"):
        return _finite(value.tolist())
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


def _finite(value: Any) -> Any:
    """JSON has no NaN: a metric that could not be computed becomes null."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value
