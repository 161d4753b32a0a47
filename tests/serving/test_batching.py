"""How requests wait for a model version's threads, and run together."""

from __future__ import annotations

import asyncio
import pathlib
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import saved_models

from serving.codec.decoding import decode_rows
from serving.errors import BadRequestError, BusyError
from serving.models.batching import FILE, Batching, PerModel
from serving.models.lane import Lane, LaneOptions, TooLongInLineError
from serving.models.servable import Servable
from spec.errors import InputError


class Held:
    """Answers numbers with their doubles, once it is let go; notes what ran together."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.go = threading.Event()

    def __call__(self, items: Sequence[int]) -> list[int]:
        self.go.wait(20)
        self.batches.append(list(items))
        if len(items) > 1 and any(item < 0 for item in items):
            raise ValueError("one of them is negative")
        if items[0] < 0:
            raise BadRequestError(f"{items[0]} is negative")
        return [2 * item for item in items]


@pytest.fixture
def held() -> Iterator[Held]:
    made = Held()
    yield made
    made.go.set()


async def in_line(lane: Lane, items: Sequence[int], run: Held, kind: str | None = "one", rows: int = 1) -> list[Any]:
    """What requests that come one after another, while the first runs, are answered."""
    asked = []
    for item in items:
        asked.append(asyncio.create_task(lane.run(run, item, kind, rows)))
        await asyncio.sleep(0.02)
    run.go.set()
    return await asyncio.gather(*asked, return_exceptions=True)


def lane(**options: Any) -> Lane:
    return Lane("taxi version 1", LaneOptions(**{"threads": 1, **options}))


def test_what_waits_while_a_batch_runs_is_the_next_batch(held: Held) -> None:
    assert asyncio.run(in_line(lane(), [1, 2, 3, 4], held)) == [2, 4, 6, 8]
    assert held.batches == [[1], [2, 3, 4]]


@pytest.mark.parametrize(
    ("options", "kind", "rows", "batches"),
    [
        ({"max_batch_size": 2}, "one", 1, [[1], [2, 3], [4]]),
        ({"max_batch_size": 1}, "one", 1, [[1], [2], [3], [4]]),
        ({"max_batch_size": 7}, "one", 3, [[1], [2, 3], [4]]),
        ({"max_batch_size": 2}, "one", 5, [[1], [2], [3], [4]]),
        ({}, None, 1, [[1], [2], [3], [4]]),
    ],
)
def test_batches_have_so_many_rows_at_most(
    held: Held, options: dict[str, Any], kind: str | None, rows: int, batches: list[list[int]]
) -> None:
    assert asyncio.run(in_line(lane(**options), [1, 2, 3, 4], held, kind, rows)) == [2, 4, 6, 8]
    assert held.batches == batches


def test_requests_of_other_kinds_keep_their_turn(held: Held) -> None:
    async def ask() -> list[int]:
        one = lane()
        asked = [asyncio.create_task(one.run(held, n, kind, 1)) for n, kind in [(1, "a"), (2, "b"), (3, "a"), (4, "b")]]
        await asyncio.sleep(0.05)
        held.go.set()
        return await asyncio.gather(*asked)

    assert asyncio.run(ask()) == [2, 4, 6, 8]
    assert held.batches in ([[1], [2, 4], [3]], [[1, 3], [2, 4]])


def test_who_asks_for_nonsense_is_refused_alone(held: Held) -> None:
    first, second, bad, last = asyncio.run(in_line(lane(), [1, 2, -3, 4], held))
    assert (first, second, last) == (2, 4, 8)
    assert isinstance(bad, BadRequestError) and str(bad) == "-3 is negative"


def test_a_batch_may_wait_for_more(held: Held) -> None:
    held.go.set()

    async def ask() -> list[int]:
        one = lane(batch_timeout_micros=2_000_000, max_batch_size=3)
        return await asyncio.gather(*(one.run(held, n, "one", 1) for n in (1, 2, 3)))

    assert asyncio.run(ask()) == [2, 4, 6]
    assert held.batches == [[1, 2, 3]], "a batch that is full waits no longer"


def test_the_line_has_an_end_and_nobody_waits_for_ever(held: Held) -> None:
    async def ask() -> None:
        one = lane(max_in_flight=2, seconds=0.2)
        runs = asyncio.create_task(one.run(held, 1, "one", 1))
        await asyncio.sleep(0.02)
        waits = asyncio.create_task(one.run(held, 2, "one", 1))
        await asyncio.sleep(0.02)
        with pytest.raises(BusyError, match="2 requests to taxi version 1 are under way"):
            await one.run(held, 3, "one", 1)
        with pytest.raises(TooLongInLineError, match=r"was busy with other requests for 0.2 s \(--queue-seconds\)"):
            await waits
        held.go.set()
        assert await runs == 2
        assert await one.run(held, 4, "one", 1) == 8, "there are places again"
        assert held.batches == [[1], [4]], "what was given up is not run"

    asyncio.run(ask())


def test_a_request_whose_caller_left_is_not_run(held: Held) -> None:
    async def ask() -> None:
        one = lane()
        runs = asyncio.create_task(one.run(held, 1, "one", 1))
        await asyncio.sleep(0.02)
        leaves = asyncio.create_task(one.run(held, 2, "one", 1))
        await asyncio.sleep(0.02)
        leaves.cancel()
        held.go.set()
        assert await runs == 2 and await one.run(held, 3, "one", 1) == 6
        assert one.idle

    asyncio.run(ask())
    assert held.batches == [[1], [3]]


def test_a_request_has_so_many_rows_at_most(held: Held) -> None:
    with pytest.raises(BadRequestError, match=r"a request may have 10 rows \(--max-rows\). Received: 11"):
        asyncio.run(lane(max_rows=10).run(held, 1, "one", 11))


# -- a real model

ROWS = [
    {"fare": n / 3, "miles": None if n % 3 else float(n), "area": n % 5, "company": "AB"[n % 2], "hour": n % 24}
    for n in range(24)
]


@pytest.fixture(scope="module")
def taxi(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return saved_models.save_taxi(tmp_path_factory.mktemp("taxi") / "1", bias=0.5)


def together(servable: Servable, ask: Callable[[Any], Any], rows: Sequence[Any]) -> list[Any]:
    """The answers to requests that wait for the version's only thread, which is busy at first."""
    busy = Held()

    async def all_of_them() -> list[Any]:
        first = asyncio.create_task(servable.lane.run(busy, 1, None, 1))
        await asyncio.sleep(0.02)
        asked = [asyncio.create_task(ask(row)) for row in rows]
        await asyncio.sleep(0.02)
        busy.go.set()
        await first
        return await asyncio.gather(*asked, return_exceptions=True)

    return asyncio.run(all_of_them())


def one_thread(**options: Any) -> Batching:
    return Batching(LaneOptions(threads=1, **options), PerModel(32), PerModel(0))


def test_a_batch_answers_as_each_request_alone(taxi: pathlib.Path) -> None:
    servable = Servable("taxi", 1, taxi, one_thread())
    signature = servable.signature()
    calls = []
    servable.call = lambda *given, run=servable.call: calls.append(1) or run(*given)  # type: ignore[method-assign]
    parts = together(servable, lambda row: servable.answer_rows(signature, [dict(row)]), ROWS)
    assert len(calls) == 1, "24 requests, one batch"
    servable = Servable("taxi", 1, taxi, one_thread())  # a lane belongs to one event loop
    arrays = [servable.checked(signature, decode_rows([dict(row)], signature.inputs)) for row in ROWS]
    tensors = together(servable, lambda one: servable.answer(signature, one), arrays)
    for row, part, tensor in zip(ROWS, parts, tensors, strict=True):
        alone = servable.run(signature, decode_rows([dict(row)], signature.inputs))
        for name, value in alone.items():
            for found in (part.outputs[name], tensor.outputs[name]):
                if value.dtype.kind == "f":
                    np.testing.assert_allclose(found, value, rtol=0, atol=1e-6)
                else:
                    assert found.tolist() == value.tolist()
        assert part.inputs["fare"].tolist() == [np.float32(row["fare"])], "what is recorded is the request's own row"


def test_of_a_batch_a_bad_row_is_refused_alone(taxi: pathlib.Path) -> None:
    servable = Servable("taxi", 1, taxi, one_thread())
    signature = servable.signature()
    rows = [ROWS[0], {**ROWS[1], "fare": "a lot"}, ROWS[2]]
    good, bad, other = together(servable, lambda row: servable.answer_rows(signature, [dict(row)]), rows)
    assert isinstance(bad, BadRequestError)
    assert str(bad) == 'instances[0].fare: expected a number (float32). Received: "a lot"'
    assert len(good.outputs["probability"]) == len(other.outputs["probability"]) == 1


def test_the_command_line_and_a_file_of_tf_serving_say_how(taxi: pathlib.Path, tmp_path: pathlib.Path) -> None:
    batching = Batching(LaneOptions(threads=3), PerModel(32, {"taxi": 8}), PerModel(0, {"other": 500}))
    assert batching.of("taxi", tmp_path, 0) == LaneOptions(3, 8, 0)
    assert batching.of("other", tmp_path, 0) == LaneOptions(3, 32, 500)
    assert batching.of("other", tmp_path, 4) == LaneOptions(3, 4, 500), "pictures take memory"
    (tmp_path / FILE).write_text(
        "max_batch_size { value: 128 }\nbatch_timeout_micros { value: 1000 }\nnum_batch_threads { value: 1 }\n"
        "max_enqueued_batches { value: 100 }\nallowed_batch_sizes: 64\nallowed_batch_sizes: 128\n"
    )
    assert batching.of("taxi", tmp_path, 0) == LaneOptions(1, 128, 1000, batches_foreign=True)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("max_batch_size: 3", "is not TF Serving's BatchingParameters"),
        ("size { value: 3 }", "is not TF Serving's BatchingParameters: 1:1 : Message type"),
        ("max_batch_size { value: 0 }", "max_batch_size must be at least 1. Received: 0"),
    ],
)
def test_a_wrong_file_is_one_line(tmp_path: pathlib.Path, text: str, line: str) -> None:
    (tmp_path / FILE).write_text(text)
    with pytest.raises(InputError, match=line):
        Batching(LaneOptions(), PerModel(32), PerModel(0)).of("taxi", tmp_path, 0)
