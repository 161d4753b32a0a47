"""Finding among many items those that fit a query: artists for a user, pictures like a picture.

A row of train is an interaction, of one query with one item; or, where `relevance` is `label`, an item itself. The model puts
queries and items into one space (`components.tasks.towers`), and the nearest items of the catalogue are answered.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, model_validator

from components.tasks import _interactions, _ranks
from components.tasks._base import Embed, Task
from components.tasks._columns import query_keys
from components.tasks._context import Context, Tensors
from components.tasks._drafts import Draft, LabelColumn, Unlabelled
from components.tasks._gallery import Gallery, ShownRows, Tile
from components.tasks._lazily import confidence, np, pa, pd
from components.tasks._signatures import Signature
from components.tasks._sums import MergeableSums, UnitTerms, Values, ratio
from components.tasks.catalogue import Catalogue, as_text
from spec.errors import InputError
from spec.metrics import COLD_NDCG_10, COVERAGE_10, HIT_1, MAP, MRR, NDCG_10, POPULARITY_10, RECALL_10, RECALL_20
from spec.section import ColumnName, Section
from spec.tasks import LabelKind
from spec.words import one_line, some_of

if TYPE_CHECKING:
    from components.confidence import Bounds
    from components.gates import CheckResult
    from components.tasks._schema import ModelSchema

_PER_QUERY = (NDCG_10, RECALL_20, RECALL_10, MAP, MRR, HIT_1)
_UNKNOWN_CODES = 2**23  # whole numbers of a float32 go that far, and twice
_SEEN = -1.0
_RAW = "raw "
_LISTS, _PICTURES, _NEIGHBOURS, _NAMED = 3, 8, 5, 10  # of the gallery


class RetrievalOptions(Section):
    item: ColumnName | None = None
    """The column of the items' ids, text or whole numbers. None: each row of train is an item, and its number there is its id."""
    query_columns: tuple[ColumnName, ...] = Field(min_length=1)
    """What a request carries, and what of the row the tower of queries may look at."""
    item_columns: tuple[ColumnName, ...] = Field(min_length=1)
    """What an item is described by: the tower of items sees them. Of an item that has several rows, the first one's values."""
    top_k: int = Field(default=100, ge=20, le=1000)
    """How many items are answered; `map` looks at no more."""
    relevance: Literal["interactions", "label"] = "interactions"
    """What makes an item right. interactions: a row of test has the query's column and the item's. label: the item's label is
    that of the query, which needs `data.label`."""
    leave_out_seen: bool = True
    """Whether a query is not answered what train or eval has for it already."""
    loss: Literal["softmax", "bpr"] = "softmax"
    """softmax: which of a batch's items is the row's own, with the correction for frequent ones. bpr: the own item against each
    other one of the batch. Where relevance is `label`, rows of one label are drawn together instead."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.relevance == "interactions" and self.item is None:
            raise ValueError("relevance: interactions needs `item`, the column of what is retrieved")
        if self.item is not None and self.item not in self.item_columns:
            raise ValueError(f"item_columns must have the item itself. Received: {self.item!r} is not among them")
        return self


class Retrieval(Task):
    """Lists of items, judged by where in them the relevant ones stand; seen ones are left out."""

    name = "retrieval"
    metrics = (*_PER_QUERY, COVERAGE_10, POPULARITY_10, COLD_NDCG_10)
    Options = RetrievalOptions
    label_kind = LabelKind.CLASSES
    label_optional = True
    guide = "docs/guides/retrieval.md"
    answers_queries = True
    output = "scores"
    unit = "queries"
    unit_term = "judged"
    gallery_rows = 24

    options: RetrievalOptions

    def __init__(
        self, classes: Sequence[str] = (), threshold: float = 0.5, options: Section | Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(classes, threshold, options)
        self.widths = {"shown": 0}
        self.catalogue: Catalogue | None = None
        self._classes_of_items: Any = None
        self._shelf: Any = None
        self._query: str | None = None

    @property
    def learns_label(self) -> bool:
        return self.by_label

    @property
    def by_label(self) -> bool:
        """Whether an item is right by its label."""
        return self.options.relevance == "label"

    # The model.

    def head_shape(self, schema: ModelSchema) -> tuple[int | None, ...]:
        return (2, None)

    def head(self, schema: ModelSchema, x: Any) -> Any:
        raise InputError(
            "model.py: a model for task retrieval has no head. Return `components.tasks.towers.Towers(query, item)`."
        )

    def loss(self, schema: ModelSchema) -> Any:
        from components.tasks import _contrasts

        if self.by_label:
            return _contrasts.Contrastive()
        if self.options.loss == "bpr":
            return _contrasts.InBatchBPR()
        assert schema.interactions is not None
        counts = np.bincount(schema.interactions[:, 1], minlength=self._ids(schema.features).vocabulary_size or 0)
        counts = np.maximum(counts, 1)  # eval has items that train lacks: they are rare, not impossible
        return _contrasts.InBatchSoftmax(counts / counts.sum())

    def _ids(self, features: Mapping[str, Any]) -> Any:
        item = str(self.options.item)
        if item not in features:
            raise InputError(
                f"features.py: task retrieval needs the feature {item!r}, the item's id as a whole number, such as "
                f"tft.compute_and_apply_vocabulary(inputs[{item!r}], num_oov_buckets=1). Received: {', '.join(features)}."
            )
        return features[item]

    def training_target(self, features: Mapping[str, Any]) -> Any:
        """The item of each row."""
        return self._ids(features)

    def catalogue_columns(self) -> tuple[str | None, Sequence[str]]:
        return self.options.item, self.options.item_columns

    def linked_features(self, schema: ModelSchema) -> tuple[str | None, str] | None:
        if self.by_label:
            return None
        return schema.query if schema.query in schema.features else None, self._ids(schema.features).name

    # What is served.

    @property
    def answer_shape(self) -> tuple[int, ...]:
        return (self.options.top_k,)

    def stock(self, model: Any, schema: ModelSchema, catalogue: Catalogue, embed: Embed) -> Any:
        from components.tasks._shelf import Shelf

        labels = catalogue.items.column(schema.label) if self.by_label else None
        self._shelf = Shelf(catalogue, embed(model.items), labels)
        self._query = (
            schema.query if self.options.leave_out_seen and schema.query in self.options.query_columns else None
        )
        return self._shelf

    def beside_features(self, raw: Mapping[str, Any]) -> dict[str, Any]:
        """The ids of the query and of the item."""
        return {_RAW + name: _ids(raw[name]) for name in (self._query, self.options.item) if name and name in raw}

    def served_output(self, model: Any, features: Mapping[str, Any]) -> Any:
        """The query's place among the items, [N, d]."""
        return model.queries(features)

    def answers(self, output: Any, features: Mapping[str, Any], model: Any) -> dict[str, Any]:
        """The nearest items; a query that train knows is not answered what it has had."""
        left_out = self._shelf.seen(features[_RAW + self._query]) if self._query else self._shelf.nothing(output)
        return dict(self._shelf.answer(output, self.options.top_k, left_out))

    def signatures(self, model: Any, schema: ModelSchema) -> Mapping[str, Signature]:
        """`similar_items`: an item, be it new, to the items that are like it. `score`: a query and an item to their similarity."""
        queries, items = self.options.query_columns, self.options.item_columns
        if set(queries) & set(items):  # items are searched by items: serving_default answers both
            return {}

        def similar(features: Mapping[str, Any]) -> dict[str, Any]:
            itself = self._shelf.itself(features[_RAW + str(self.options.item)])
            return dict(self._shelf.answer(model.items(features), self.options.top_k, itself))

        def score(features: Mapping[str, Any]) -> dict[str, Any]:
            from keras import ops

            return {"score": ops.sum(model.queries(features) * model.items(features), axis=1)}

        return {"similar_items": Signature(similar, items), "score": Signature(score, (*queries, *items))}

    def served_columns(self, columns: Sequence[str]) -> Sequence[str]:
        return self.options.query_columns

    def prediction_types(self) -> dict[str, pa.DataType]:
        labels = {"labels": pa.list_(pa.string())} if self.by_label else {}
        return {"items": pa.list_(pa.string()), "scores": pa.list_(pa.float32()), **labels}

    # How good it is.

    @property
    def has_baseline(self) -> bool:
        return False

    def truth_columns(self, label: str | None) -> tuple[str, ...]:
        wanted = label if self.by_label else self.options.item
        assert wanted is not None
        return (wanted,)

    def prepare(self, context: Context) -> Self:
        """Reads the catalogue: what is judged are places in it."""
        assert context.catalogue is not None
        prepared = copy.copy(self)
        prepared.catalogue = found = Catalogue.read(context.catalogue)
        prepared.widths = {"shown": len(found)}
        prepared._query = context.query
        if self.by_label:
            prepared._classes_of_items = self.truths(found.items.combine_chunks().to_batches()[0], context.label)
        return prepared

    def truths(self, batch: pa.RecordBatch, label: str | None) -> np.ndarray:
        """The class of each row's label; or its item's place, which is below 0, each its own, where the catalogue lacks the item."""
        (column,) = self.truth_columns(label)
        if self.by_label:
            return self.read_labels(batch.column(column), column)
        assert self.catalogue is not None
        ids = as_text(batch.column(column))
        places = self.catalogue.places(ids)
        unknown = places < 0
        codes = pd.util.hash_array(ids[unknown], categorize=False) % _UNKNOWN_CODES
        places[unknown] = -1 - codes.astype(np.int64)
        return places

    @property
    def judged_output(self) -> str:
        return "items"

    def judged(self, answers: Tensors) -> np.ndarray:
        """Items as places in the catalogue, [N, top_k]; -1 for what is not in it."""
        assert self.catalogue is not None
        return self.catalogue.places(answers["items"])

    def kept(self, truths: np.ndarray, predictions: np.ndarray, groups: np.ndarray) -> np.ndarray:
        """What metrics need of each row, [N, c].

        By label: the query's metrics, then the first ten places. Else: the rank of the row's item in the list, 0 where it is not in
        it and -1 where it is seen; its rank among the most frequent items; the first ten places.
        """
        assert self.catalogue is not None
        seen = self.catalogue.seen
        _, firsts, query = np.unique(groups, return_index=True, return_inverse=True)
        rows, lists = np.full(len(firsts), -1), predictions[firsts]
        if self.options.leave_out_seen:
            rows = seen.rows(groups[firsts])
        # A champion, or a simple method, may answer what was seen since.
        left = (lists >= 0) & ~seen.has(rows[:, np.newaxis], lists)
        ranks = np.where(left, np.cumsum(left, axis=1), 0)
        first = np.argsort(~left, axis=1, kind="stable")[:, : _ranks.TOP]
        shown = np.where(np.take_along_axis(left, first, 1), np.take_along_axis(lists, first, 1), -1)[query]
        if self.by_label:
            right = left[query] & (self._classes_of_items[np.maximum(lists, 0)][query] == truths[:, np.newaxis])
            row, place = np.nonzero(right)
            wanted = np.bincount(self._classes_of_items, minlength=len(self.classes))[truths]
            found = _ranks.per_query(row, ranks[query][row, place], wanted, self.options.top_k)
            return np.column_stack([wanted, *(found[one.name] for one in _PER_QUERY), shown])
        own = np.where(lists[query] == truths[:, np.newaxis], ranks[query], 0).max(axis=1)
        popular = np.where(truths >= 0, truths + 1 - seen.before(rows[query], truths), 0)
        popular[popular > self.options.top_k] = 0
        is_seen = seen.has(rows[query], truths)
        return np.column_stack([np.where(is_seen, _SEEN, own), np.where(is_seen, _SEEN, popular), shown])

    def constant(self, kept: np.ndarray) -> np.ndarray:
        """Everybody is answered the most frequent items that they have not had."""
        if self.by_label:
            return np.zeros_like(kept)
        nothing = np.full_like(kept[:, 2:], -1)
        return np.column_stack([kept[:, 1], kept[:, 1], nothing])

    def group_terms(
        self, truths: np.ndarray, predictions: np.ndarray, groups: np.ndarray, slices: np.ndarray | None = None
    ) -> tuple[UnitTerms, np.ndarray]:
        assert self.catalogue is not None
        parts = (groups,) if slices is None else (groups, slices)
        order = np.lexsort((truths, *parts))
        starts = _ranks.changes(*(part[order] for part in parts))
        first = order[starts]
        if self.by_label:
            wanted = predictions[first, 0]
            found = {one.name: predictions[first, 1 + i].astype(np.float64) for i, one in enumerate(_PER_QUERY)}
        else:
            own = predictions[order, 0].astype(np.int64)
            counts = np.zeros(len(order), bool)  # an item counts once, however many rows say that it is the query's
            counts[_ranks.changes(*(part[order] for part in parts), truths[order])] = True
            counts &= own >= 0
            query = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(order))))
            wanted = np.bincount(query[counts], minlength=len(starts))
            hit = counts & (own > 0)
            found = _ranks.per_query(query[hit], own[hit], wanted, self.options.top_k)
        judged = (wanted > 0).astype(np.float64)
        cold = judged * ((self.catalogue.seen.rows(groups[first]) < 0) & (not self.by_label))
        shown = np.where(judged[:, np.newaxis] > 0, predictions[first, -_ranks.TOP :], -1).astype(np.int64)
        is_there = shown >= 0
        popularity = np.where(is_there, self._popularity[np.maximum(shown, 0)], 0.0).sum(axis=1)
        popularity /= np.maximum(is_there.sum(axis=1), 1)
        values = {**found, "cold_ndcg_10": found["ndcg_10"] * cold, "popularity_10": popularity}
        terms = {
            "rows": np.diff(np.append(starts, len(order))).astype(np.float64),
            "queries": np.ones(len(starts)),
            "judged": judged,
            "cold": cold,
            "unknown": np.add.reduceat(truths[order] < 0, starts).astype(np.float64) if len(starts) else np.zeros(0),
            **values,
            **{f"squared_{name}": value**2 for name, value in values.items()},
        }
        return UnitTerms(terms, {"shown": shown}), first

    @property
    def _popularity(self) -> np.ndarray:
        """Of each item, the share of the catalogue that is less frequent, and half of what is as frequent, [M]."""
        assert self.catalogue is not None
        rising = np.sort(counts := self.catalogue.counts)
        below, above = (np.searchsorted(rising, counts, side) for side in ("left", "right"))
        return (below + above) / (2 * len(counts))

    def value(self, metric: str, sums: MergeableSums, slice_index: int = 0) -> float | None:
        terms = sums.of(slice_index)
        if metric == COVERAGE_10.name:
            shown = sums.cells["shown"][slice_index]
            return float((shown > 0).mean()) if terms["judged"] and len(shown) else None
        return ratio(terms[metric], terms["cold" if metric == COLD_NDCG_10.name else "judged"])

    def bounds_of(
        self, metric: str, value: float, sums: MergeableSums, level: float, slice_index: int
    ) -> Bounds | None:
        terms = sums.of(slice_index)
        if metric == COVERAGE_10.name:
            return None  # another draw of queries has another coverage, and less of it
        units = terms["cold" if metric == COLD_NDCG_10.name else "judged"]
        return confidence.mean_of_shares(terms[metric], terms[f"squared_{metric}"], units, level)

    def trivial(self, sums: MergeableSums, truths: np.ndarray) -> Values:
        """The most frequent items that a query has not had, for everybody; None by label, where no list is simpler than another."""
        if self.by_label:
            return super().trivial(sums, truths)
        return {**self.values(sums), COVERAGE_10.name: None, POPULARITY_10.name: None}

    def gallery(self, rows: ShownRows, truths: np.ndarray, answers: Tensors) -> Sequence[Gallery]:
        """What a few queries are answered, beside what they have had; or the pictures that are found for a picture."""
        places = self.judged(answers)
        firsts = np.sort(np.unique(places, axis=0, return_index=True)[1])  # of the rows of one query, one
        if self.by_label:
            tiles = [self._neighbours(rows, row, int(truths[row]), places[row]) for row in firsts[:_PICTURES]]
            caption = "A row of test, and what is nearest to it in train, the nearest first. Chosen by chance."
            return [Gallery("Found for a few rows", tiles, caption)]
        tiles = [self._listed(rows, row, int(truths[row]), places[row]) for row in firsts[:_LISTS]]
        return [Gallery("Answered to a few queries", tiles, "The first ten items of each. Chosen by chance.")]

    def _listed(self, rows: ShownRows, row: int, truth: int, places: np.ndarray) -> Tile:
        assert self.catalogue is not None
        names = [name for name in self.options.query_columns if name in rows.batch.schema.names]
        lines = [", ".join(f"{name}: {rows.batch.column(name)[row].as_py()}" for name in names)]
        if self._query in rows.batch.schema.names:
            (known,) = self.catalogue.seen.rows(
                query_keys(rows.batch.column(self._query).slice(row, 1), str(self._query))
            )
            had = self._words(rows, self.catalogue.seen.of_row(int(known)))
            lines.append(f"had: {some_of(had, _NAMED) or 'nothing'}")
        first = places[places >= 0][: _ranks.TOP]
        lines.append("answered: " + "; ".join(self._words(rows, first)))
        lines.append("in test: " + (self._words(rows, [truth])[0] if truth >= 0 else "an item that train lacks"))
        return Tile((), lines, "good" if truth in first else "bad")

    def _neighbours(self, rows: ShownRows, row: int, truth: int, places: np.ndarray) -> Tile:
        assert self.catalogue is not None
        first = places[places >= 0][:_NEIGHBOURS]
        (items,) = self.catalogue.items.take(pa.array(first)).combine_chunks().to_batches() or [None]
        found = ShownRows(items, rows.pixels)
        shown = {
            f"{i + 1} {self.classes[self._classes_of_items[one]]}": found.picture(i) for i, one in enumerate(first)
        }
        right = self._classes_of_items[first] == truth
        lines = (self.classes[truth], f"{right.sum()} of the first {len(first)} are {self.classes[truth]}")
        beside = {name: picture for name, picture in shown.items() if picture is not None}
        return rows.tile(row, *lines, mark="good" if right[:1].all() else "bad", **beside)

    def _words(self, rows: ShownRows, places: Any) -> list[str]:
        """Items by what is said of them; columns that no page shows are left out."""
        assert self.catalogue is not None
        columns = [name for name in self.catalogue.items.column_names if name in rows.batch.schema.names]
        found = self.catalogue.items.select(columns).take(pa.array(places, pa.int64())).to_pylist()
        said = [[str(value) for value in item.values() if not isinstance(value, bytes)] for item in found]
        return [one_line(" / ".join(values), 60) for values in said]

    def data_checks(self, sums: MergeableSums, query: str) -> list[CheckResult]:
        """Whether there is something to find, and how much of it nobody can."""
        from components.gates import CheckResult, Severity

        queries, judged, rows, unknown = (int(sums.terms[name][0]) for name in ("queries", "judged", "rows", "unknown"))
        name = "queries have items to find"
        if not judged:
            why = f"none of {queries:,} queries of test has a relevant item that it had not already: all metrics are undefined"
            return [CheckResult(name, False, Severity.WARNING, why)]
        shown = f"{queries:,} queries, {judged:,} of them with something to find"
        if unknown:
            shown += f"; {unknown:,} of {rows:,} rows are of items that train lacks, which count as missed"
        return [CheckResult(name, True, message=shown)]

    # What `trainyard new` writes.

    @classmethod
    def draft(cls, label: LabelColumn, positive: str | None = None) -> Draft:
        raise InputError(
            f"--label {label.name!r}: task retrieval is drafted from interactions, where each row says that a query had an item. "
            "Leave --label out."
        )

    @classmethod
    def draft_unlabelled(cls, table: Unlabelled) -> Draft:
        """Of interactions: what depends on one of the two ids alone is said of it, and all else is ignored."""
        return _interactions.draft(cls.name, table)


def _ids(column: Any) -> Any:
    """A raw column of ids, [N]; where one is missing, what no id is."""
    import tensorflow as tf

    if not isinstance(column, tf.SparseTensor):
        return column
    text = column if column.dtype == tf.string else tf.sparse.map_values(tf.strings.as_string, column)
    return tf.reshape(tf.sparse.to_dense(tf.sparse.reset_shape(text, [tf.shape(text, tf.int64)[0], 1])), [-1])
