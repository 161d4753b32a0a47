from __future__ import annotations

import dataclasses
import json

from components.ingestion import PLAIN, Reading


@dataclasses.dataclass(frozen=True)
class BatchInferenceConfig:
    """What to predict for.

    Attributes:
        uri: file, folder, glob pattern or fsspec URL.
        format: csv, xlsx, parquet, jsonl, json, tfrecord or images.
        reading: how the files are written; which texts mean a missing value the release says.
        keys: columns that say in the output which row a prediction is for; empty: the file and the row's number in it.
    """

    uri: str
    format: str
    keys: tuple[str, ...] = ()
    reading: Reading = PLAIN

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> BatchInferenceConfig:
        raw = json.loads(text)
        return cls(**{**raw, "keys": tuple(raw["keys"]), "reading": Reading.of(raw.get("reading", {}))})
