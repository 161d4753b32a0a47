from __future__ import annotations

import dataclasses
import json

from components.ingestion._reading import PLAIN, Reading


@dataclasses.dataclass(frozen=True)
class IngestionConfig:
    """What to read and how to divide it.

    Attributes:
        uri: path, glob or fsspec URL with `{SPAN}`; `{DATA}` is filled in already.
        format: csv, xlsx, parquet, jsonl, json, tfrecord or images.
        reading: how the files are written.
        window: spans to read: the newest and those before it.
        label: the label's column; None without one.
        ignore: columns of the files that are not read.
        split_key: column whose hash decides the split; None: all columns but the label.
        split_time: column to split by: the newest rows are test, those before them eval.
        split_column: column that says train, eval or test.
        eval_fraction: share of rows for eval; where a column names no eval, of its train.
        test_fraction: share of rows for test; unused where a column names it.
        split_seed: another number divides by hash in another way.
        on_bad_rows: fail: the first row that does not fit ends the run; quarantine: it goes into a side file.
        merge_spellings: whether the label's classes may be written in any case, with spaces around them.
        drop_unlabelled: whether rows without a label are left out.
        max_bad_fraction: share of rows in quarantine above which the run ends all the same.
    """

    uri: str
    format: str
    label: str | None
    window: int = 1
    ignore: tuple[str, ...] = ()
    split_key: str | None = None
    split_time: str | None = None
    split_column: str | None = None
    eval_fraction: float = 0.1
    test_fraction: float = 0.2
    split_seed: int = 0
    on_bad_rows: str = "fail"
    max_bad_fraction: float = 0.01
    merge_spellings: bool = False
    drop_unlabelled: bool = False
    reading: Reading = PLAIN

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> IngestionConfig:
        raw = json.loads(text)
        return cls(**{**raw, "ignore": tuple(raw["ignore"]), "reading": Reading.of(raw.get("reading", {}))})
