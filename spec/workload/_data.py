"""Where the data lies, how it is divided, and how far it is trusted."""

from __future__ import annotations

import codecs
import re
from typing import Literal

from pydantic import Field, field_validator, model_validator

from spec.section import ColumnName, Fraction, Section, SplitColumn


class Label(Section):
    column: ColumnName
    """The column to predict. Its classes are its domain in schema.pbtxt (int_domain, string_domain or bool_domain); for ranking
    it is the relevance of a row to its query, 0 or more."""
    positive_class: str | None = None
    """Of two classes, the one that counts as positive. Default: the one that is by its name (1 of 0 and 1, true, yes, `fraud`
    of `fraud` and `not fraud`); else the rarer one, where at most a third of train's rows have it; else the last of the domain."""
    merge_spellings: bool = False
    """Whether the classes may be written in any case and with spaces around them: `YES` and `yes ` are then the class `yes`, as the
    domain in schema.pbtxt writes it."""
    drop_unlabelled: bool = False
    """Whether rows without a label are left out, and counted. Otherwise they do not fit the schema."""
    separator: str = Field(default="", max_length=8)
    """Where a row has several classes (task multilabel) and files write them as one text: what stands between them, such as `;`. An
    empty text is a row of none. Without: the files hold lists, as Parquet and JSON can."""


class Split(Section):
    key: ColumnName | None = None
    """Column whose hash decides the split; the same key is always in the same split. Default: all columns but the label, so that
    rows of the same features stay together; for ranking the query, so that no query is torn apart."""
    time: ColumnName | None = None
    """Column (number or ISO 8601 time) to split by: the newest rows are test, those before them eval. Excludes `key` and `column`."""
    column: SplitColumn | None = None
    """Column that says `train`, `eval` or `test` for each row, for data that comes with an official test set; not a feature. Where
    it names two parts, the one that is not train is test, and eval is taken out of train by hash."""
    eval_fraction: Fraction = 0.1
    """Share of the rows that is looked at while the model is made: when training stops, which decision threshold. Of the rows
    of train, where `column` names no eval."""
    test_fraction: Fraction = 0.2
    """Share of the rows that the gates judge by, and that nothing else has seen; unused with `column`. A row that is in test stays
    there in every span."""
    seed: int = Field(default=0, ge=0, le=2**31 - 1)
    """Another number divides by hash in another way. `trainyard new` takes the one that spreads the rows of a rare class best; once a
    model was released, another number puts rows that it was trained on into test."""

    @model_validator(mode="after")
    def _one_way(self) -> Split:
        if sum(way is not None for way in (self.key, self.time, self.column)) > 1:
            raise ValueError("a split goes by key, by time or by column; keep one of them")
        if not (self.eval_fraction > 0 and self.test_fraction > 0 and self.eval_fraction + self.test_fraction < 1):
            raise ValueError(
                "eval_fraction and test_fraction must be above 0, and leave rows to train on. "
                f"Received: {self.eval_fraction} and {self.test_fraction}"
            )
        return self


NumberStyle = Literal["1234.5", "1,234.5", "1 234.5", "1'234.5", "1234,5", "1.234,5", "1 234,5", "1'234,5"]


class Read(Section):
    separator: str = Field(default=",", pattern=r"^[^\r\n\"]$")
    """What stands between the columns of a CSV: one character, such as `;`, `|` or a tab (`"\\t"`)."""
    encoding: str = "utf-8"
    """Of text files, as Python names it: utf-8, utf-16, cp1252, latin-1, shift_jis."""
    decimal: Literal[".", ","] = "."
    """The decimal mark of a CSV's numbers."""
    thousands: Literal["", ",", ".", " ", "'"] = ""
    """What groups the digits of a CSV's numbers. All of them are then read as text first, which takes several times as long; for a
    few columns `numbers` does."""
    header: bool = True
    """Whether the first row of a CSV or an Excel sheet has the names of the columns. Without: `names`, else column_1, column_2."""
    names: tuple[str, ...] = ()
    """Names of the columns, in the file's order, instead of those in its header."""
    skip_rows: int = Field(default=0, ge=0, le=1000)
    """Lines ahead of the header that are passed over: a title, Excel's `sep=;`."""
    comment: str = Field(default="", pattern=r"^[^\r\n\"]{0,8}$")
    """What a line of a CSV begins with that is no data, such as #."""
    repeated_header: bool = False
    """Whether lines of a CSV that are equal to its header are passed over, as files that were put together have them."""
    sheet: str = ""
    """Which sheet of an Excel file. Default: the first that is not empty."""
    na_values: tuple[str, ...] = ("NA", "NaN", "nan", "null", "NULL", "None")
    """Texts that mean that a value is missing, in files of every format and in requests to the served model, be they quoted or not;
    the empty text always does."""
    na_values_by_column: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Other such texts for some columns, instead of `na_values`: {country: []} where NA is Namibia, {price: [NA, oops]}."""
    numbers: dict[str, NumberStyle] = Field(default_factory=dict)
    """How numbers are written in columns where they stand with a currency, %, grouped digits, or in brackets for a minus:
    {price: "1,234.5", share: "1.234,5"}. The unit is left out: 12.3 % is 12.3."""

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, encoding: str) -> str:
        try:
            codecs.lookup(encoding)
            "".encode(encoding)
        except (LookupError, ValueError):
            raise ValueError(f"no such encoding; use a name such as utf-8 or cp1252. Received: {encoding!r}") from None
        return encoding

    @model_validator(mode="after")
    def _one_mark_each(self) -> Read:
        if self.thousands and self.thousands == self.decimal:
            raise ValueError(f"decimal and thousands must differ. Received: {self.decimal!r} for both")
        if doubled := next((name for name in self.names if self.names.count(name) > 1), None):
            raise ValueError(f"names: each must be there once. Received: {doubled!r} twice")
        return self

    def missing(self, column: str) -> tuple[str, ...]:
        """The texts that mean in a column that a value is missing; the empty one is not among them."""
        return self.na_values_by_column.get(column, self.na_values)


PLAIN = Read()
Format = Literal["csv", "xlsx", "parquet", "jsonl", "json", "tfrecord", "images"]


class Ingestion(Section):
    """What ingestion is told: the part of `data` that decides which rows there are, and in which split."""

    uri: str
    """Where the data lies; of a workload, `{DATA}` and `{WORKLOAD}` are filled in."""
    format: Format = "csv"
    """How the files are written. csv, xlsx, jsonl and json: `read` says more. json: an array of objects, or one object a line.
    tfrecord: of tf.Example, gzipped or not. images: a folder for each class; the encoded bytes
    become the column `image`, the folder's name the label."""
    read: Read = PLAIN
    """How the files are to be read; `trainyard new` finds out and writes it. Every command obeys it."""
    label: Label | None = None
    """What to predict; required, except for tasks that learn without one."""
    window: int = Field(default=1, ge=1, le=1000)
    """How many spans to train on: the newest and those before it."""
    split: Split = Split()
    """How rows are divided into train (learnt from), eval (looked at while the model is made) and test (judges it)."""
    ignore: tuple[str, ...] = ()
    """Columns of the files that the pipeline does not read, by name or pattern: `debug_*`, or `*` for all that schema.pbtxt does
    not name. A column that schema.pbtxt names is left out by its name or a pattern such as `debug_*`, too: nothing trains on it
    or judges it, and expectations of it are reported as not judged."""
    on_bad_rows: Literal["fail", "quarantine"] = "fail"
    """What a row gets that is ragged, of the wrong type, not UTF-8, or lacks a required value. fail: the run ends and names it.
    quarantine: it goes into a side file with the reason, is counted, and the others are read."""
    max_bad_fraction: Fraction = 0.01
    """quarantine only: the run ends all the same when a greater share of the rows is bad."""

    @property
    def label_column(self) -> str | None:
        """The label's column; None where the task learns without one."""
        return self.label.column if self.label else None


class BatchInput(Section):
    """What batch inference is told."""

    uri: str
    """File, folder, glob pattern or fsspec URL."""
    format: Format
    """How the files are written."""
    keys: tuple[str, ...] = ()
    """Columns that say which row a prediction is for; empty: the file and the row's number in it."""
    read: Read = PLAIN
    """How the files are to be read; which texts mean a missing value the release says."""


class Data(Ingestion):
    uri: str = "{DATA}/{WORKLOAD}/span-{SPAN}/*"
    """Where the data lies. `{SPAN}` is the span's number; `{YYYY}`, `{MM}` and `{DD}` its day instead (the span is then the days
    since 1970-01-01); of `{VERSION}` the newest counts; `{DATA}` is the landing folder (TRAINYARD_DATA)."""
    query: ColumnName | None = None
    """For tasks that rank rows against each other, and needed there: the column of which one value (a search, a user) makes the
    rows of one ranking. For retrieval: the column whose rows are one query; without it each row is one."""
    personal_features: tuple[ColumnName, ...] = ()
    """Columns tagged `personal` in schema.pbtxt that the model may learn from all the same. No other column with the tag reaches
    features.py, the simple methods beside the model, or the served model's inputs; it may be judged by
    (docs/guides/responsible.md)."""
    dataset: str | None = None
    """A data set that Trainyard knows how to fetch (pipelines/datasets): a span that is not there yet is laid out from it."""

    @field_validator("uri")
    @classmethod
    def _known_placeholders(cls, uri: str) -> str:
        used = set(re.findall(r"\{(\w+)\}", uri))
        known = ("SPAN", "VERSION", "YYYY", "MM", "DD", "DATA", "WORKLOAD")
        if unknown := sorted(used - set(known)):
            raise ValueError(f"unknown placeholder {{{unknown[0]}}}; use one of {', '.join(f'{{{k}}}' for k in known)}")
        dates = used & {"YYYY", "MM", "DD"}
        if dates and len(dates) < 3:
            raise ValueError("a date needs {YYYY}, {MM} and {DD}")
        if dates and "SPAN" in used:
            raise ValueError("spans go by {SPAN} or by date; keep one of them")
        if "VERSION" in used and not used & {"SPAN", "YYYY"}:
            raise ValueError("{VERSION} is the version of a span: add {SPAN}, or {YYYY}, {MM} and {DD}")
        return uri
