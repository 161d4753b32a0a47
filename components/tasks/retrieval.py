"""Finding among many items those that fit a query: artists for a user, pictures like a picture.

A row of train is an interaction, of one query with one item; or, where `relevance` is `label`, an item itself. The model puts
queries and items into one space (`components.tasks.towers`), and the nearest items of the catalogue are answered.
"""

from __future__ import annotations

import copy
import pathlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from components.tasks import _interactions, _lists, _questions, _ranks, _recall
from components.tasks._base import DRAWN, Embed, Task
from components.tasks._context import Context, Tensors
from components.tasks._drafts import Draft, LabelColumn, Unlabelled
from components.tasks._gallery import Gallery, ShownRows
from components.tasks._lazily import confidence, np, pa, pd
from components.tasks._retrieval_options import RetrievalOptions
from components.tasks._signatures import Signature
from components.tasks._stock import Stock
from components.tasks._sums import MergeableSums, UnitTerms, Values, ratio
from components.tasks.catalogue import Catalogue, as_text
from spec.errors import InputError
from spec.metrics import COLD_NDCG_10, COVERAGE_10, HIT_1, MAP, MRR, NDCG_10, POPULARITY_10, RECALL_10, RECALL_20
from spec.section import Section
from spec.tasks import LabelKind

if TYPE_CHECKING:
    from components.confidence import Bounds
    from components.gates import CheckResult
    from components.tasks._schema import ModelSchema

_PER_QUERY = (NDCG_10, RECALL_20, RECALL_10, MAP, MRR, HIT_1)
_UNKNOWN_CODES = 2**23  # whole numbers of a float32 go that far, and twice
_SEEN = -1.0


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
        self._stock: Stock | None = None
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
        return _contrasts.InBatchSoftmax(counts / counts.sum(), len(np.unique(schema.interactions[:, 1])))

    def _ids(self, features: Mapping[str, Any]) -> Any:
        item = str(self.options.item)
        if item not in features:
            raise InputError(
                f"features.py: task retrieval needs the feature {item!r}, the item's id as a whole number, such as "
                f"tft.compute_and_apply_vocabulary(inputs[{item!r}], num_oov_buckets=1). Received: {', '.join(features)}."
            )
        return features[item]

    def training_target(self, features: Mapping[str, Any]) -> Any:
        """The item of each row, and those drawn for it, [N] or [N, 1 + n]."""
        own = self._ids(features)
        drawn = features.get(DRAWN + str(self.options.item))
        if drawn is None:
            return own
        from keras import ops

        return ops.concatenate([own[:, None], drawn], axis=1)

    @property
    def drawn_items(self) -> int:
        return self.options.negatives

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

        labels = catalogue.items.column(schema.label).combine_chunks() if self.by_label else None
        self._stock = Stock(catalogue, embed(lambda features: _questions.embedding(model.items(features))), labels)
        self._shelf = Shelf(self._stock)
        self._query = (
            schema.query if self.options.leave_out_seen and schema.query in self.options.query_columns else None
        )
        return self._shelf

    def write_beside(self, saved_model: pathlib.Path) -> None:
        """The items with their embeddings, and their index."""
        assert self._stock is not None
        self._stock.write_items(saved_model)
        if self.options.index is not None:
            more = self._stock.had_by_most if self._query else 0
            self._stock.write_index(saved_model, self.options.top_k + more, self.options.index)

    def beside_features(self, raw: Mapping[str, Any]) -> dict[str, Any]:
        """The ids of the query and of the item."""
        return _questions.ids(raw, self._query, self.options.item)

    def served_output(self, model: Any, features: Mapping[str, Any]) -> Any:
        """The query's place among the items, [N, d]."""
        return model.queries(features)

    def answers(self, output: Any, features: Mapping[str, Any], model: Any) -> dict[str, Any]:
        """The nearest items; a query that train knows is not answered what it has had."""
        left_out = _questions.left_out(self._shelf, self._query, output, features)
        return dict(self._shelf.answer(output, self.options.top_k, left_out))

    def signatures(self, model: Any, schema: ModelSchema) -> Mapping[str, Signature]:
        """Embeddings, the best of some items, and, where a query is no item, what is like an item and how well it fits."""
        return _questions.signatures(model, self.options, self._shelf, self._query)

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
        popularity = np.where(is_there, self.catalogue.popularity[np.maximum(shown, 0)], 0.0).sum(axis=1)
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
        assert self.catalogue is not None
        places = self.judged(answers)
        firsts = np.sort(np.unique(places, axis=0, return_index=True)[1])  # of the rows of one query, one
        if self.by_label:
            return [
                _lists.neighbours(rows, firsts, truths, places, self.catalogue, self.classes, self._classes_of_items)
            ]
        columns = self.options.query_columns
        return [_lists.answered(rows, firsts, truths, places, self.catalogue, columns, self._query)]

    def model_checks(self, context: Context) -> list[CheckResult]:
        """Whether the index finds what exact search finds."""
        return [] if self.options.index is None else [_recall.check(self.options.index, context)]

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
