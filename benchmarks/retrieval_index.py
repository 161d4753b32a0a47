"""How many queries a second exact search and the index answer, and how much of the exact answer the index finds.

    python -m benchmarks.retrieval_index
    python -m benchmarks.retrieval_index --items 1000000 --ef-search 100,200,400

Both are measured as they are served: the graph's own search, and the index with the graph that ranks what it finds; nothing of HTTP.
The items are made up: points near to a plane of 16 dimensions, some much longer than others, as embeddings of a recommender are
that scores by dot product. Time is CPU time, of one thread each. Run it in the pipelines environment.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import tempfile
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

import vector_index
from components.tasks._recall import recall
from components.tasks._retrieval_options import IndexOptions
from components.tasks._stock import Stock
from components.tasks.catalogue import Catalogue, Seen, as_text

_PLANE = 16
Answer = Callable[[Mapping[str, np.ndarray]], Mapping[str, np.ndarray]]


def main() -> int:
    options = _options()
    os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "2", "CUDA_VISIBLE_DEVICES": "-1"}
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    print("| items | search | built, s | file, MB | one query, ms | queries/s, by 64 | recall |")
    print("|--:|---|--:|--:|--:|--:|--:|")
    for items in options.items:
        _measure(items, options)
    return 0


def _measure(items: int, options: argparse.Namespace) -> None:
    random = np.random.default_rng(0)
    plane = random.normal(size=(_PLANE, options.dimensions))

    def points(count: int) -> np.ndarray:
        near = random.normal(size=(count, _PLANE)) @ plane / _PLANE
        found: np.ndarray = (near + 0.1 * random.normal(size=(count, options.dimensions))).astype(np.float32)
        return found

    embeddings = points(items) * random.lognormal(0, 0.3, (items, 1)).astype(np.float32)
    queries = points(options.queries)
    ids = as_text(np.arange(items))
    stock = Stock(Catalogue(pa.table({"id": ids}), ids, np.ones(items, np.int64), Seen.none()), embeddings)
    entry = _entries(stock, options.top_k)
    exact = entry("serving_default").call
    right = _all(exact, queries)["items"]
    _print(items, "exact", exact, queries)
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        started = time.process_time()
        stock.write_index(folder, options.top_k, IndexOptions())
        built = time.process_time() - started
        size = sum(path.stat().st_size for path in folder.rglob("*.faiss"))
        (description,) = folder.rglob("index.json")
        for ef_search in options.ef_search:  # of the search alone: the graph stays
            description.write_text(json.dumps({**json.loads(description.read_text()), "ef_search": ef_search}))
            answer = vector_index.answering(folder, entry)
            assert answer is not None
            share = float(recall(_all(answer, queries)["items"], right).mean())
            _print(items, f"hnsw, ef_search {ef_search}", answer, queries, built, size, share)


def _entries(stock: Stock, top_k: int) -> Callable[[str], vector_index.Entry]:
    """The signatures of a model whose queries are vectors."""
    import tensorflow as tf

    from components.tasks._shelf import Shelf

    shelf = Shelf(stock)
    vectors = tf.TensorSpec([None, stock.embeddings.shape[1]], tf.float32)
    places = tf.TensorSpec([None, None], tf.int64)
    found: dict[str, tuple[Any, list[str]]] = {
        "query_embedding": (tf.function(lambda x: {"embedding": x}, [vectors]), ["x"]),
        "serving_default": (tf.function(lambda x: shelf.answer(x, top_k, shelf.nothing(x)), [vectors]), ["x"]),
        "rank_candidates": (
            tf.function(lambda x, among: shelf.best_of(x, among, top_k, shelf.nothing(x)), [vectors, places]),
            ["embedding", "candidates"],
        ),
    }

    def entry(name: str) -> vector_index.Entry:
        function, inputs = found[name]

        def call(given: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
            answers = function(*(tf.constant(given[one]) for one in inputs))
            return {one: value.numpy() for one, value in answers.items()}

        return vector_index.Entry(inputs, [], call)

    return entry


def _all(answer: Answer, queries: np.ndarray, size: int = 64) -> dict[str, np.ndarray]:
    parts = [answer({"x": queries[start : start + size]}) for start in range(0, len(queries), size)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _print(
    items: int, search: str, answer: Answer, queries: np.ndarray, built: float = 0.0, size: int = 0, share: float = 1.0
) -> None:
    one, many = _seconds(answer, queries[:200], 1), _seconds(answer, queries, 64)
    made = f"{built:.1f} | {size / 1e6:.0f}" if built else " | "
    print(f"| {items:,} | {search} | {made} | {one * 1e3:.2f} | {1 / many:,.0f} | {share:.4f} |", flush=True)


def _seconds(answer: Answer, queries: np.ndarray, size: int) -> float:
    """CPU time a query, the least of three rounds."""
    _all(answer, queries[:size], size)
    rounds = []
    for _ in range(3):
        started = time.process_time()
        _all(answer, queries, size)
        rounds.append(time.process_time() - started)
    return min(rounds) / len(queries)


def _options() -> argparse.Namespace:
    def numbers(text: str) -> list[int]:
        return [int(one) for one in text.split(",")]

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=numbers, default=[60_000, 200_000], help="how many (60000,200000)")
    parser.add_argument("--dimensions", type=int, default=64, help="of an embedding (64)")
    parser.add_argument("--top-k", type=int, default=100, help="items answered (100)")
    parser.add_argument("--ef-search", type=numbers, default=[100, 200, 400], help="items looked at (100,200,400)")
    parser.add_argument("--queries", type=int, default=1000, help="asked (1000)")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
