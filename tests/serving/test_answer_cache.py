"""Answers that are kept for requests that come again."""

from __future__ import annotations

import numpy as np
from conftest import wait_for

from serving.inference.answer_cache import AnswerCache, Kept
from serving.metrics import Metrics
from serving.models.answers import Batch, Part

ROW = {"fare": 2.5, "miles": 1.0, "area": 3, "company": "A", "hour": 7}


def counted(server, series: str) -> float:
    lines = server.get("/metrics")[1].splitlines()
    return sum(float(line.rsplit(" ")[-1]) for line in lines if line.startswith(f"trainyard_serving_{series}"))


def test_a_request_that_comes_again_is_answered_from_memory(start, publish, store, exports):
    publish("taxi", exports["taxi_0"])
    server = start("--answer-cache-mb", "4").wait_until_ready()
    body = {"instances": [ROW]}
    status, first, headers = server.post("taxi:predict", body)
    assert (status, headers["x-cache"]) == (200, "miss")
    status, again, headers = server.post("taxi:predict", body)
    assert (status, headers["x-cache"], again) == (200, "hit", first)
    assert server.post("taxi:predict", {**body, "classes": True})[2]["x-cache"] == "miss", "another question"
    assert server.post("taxi:predict", {"instances": [{**ROW, "fare": "much"}]})[0] == 400
    assert server.post("taxi:predict", {"instances": [{**ROW, "fare": "much"}]})[0] == 400, "errors are not kept"
    assert counted(server, 'predictions_total{bin="0.55",model="taxi",output="probability"') == 3, "each is counted"
    assert counted(server, 'answer_cache_total{outcome="hit"}') == 1
    publish("taxi", exports["taxi_3"])
    wait_for(lambda: server.post("taxi:predict", body)[1] != first)
    assert server.post("taxi/versions/2:predict", body)[2]["x-cache"] == "hit"
    store.promote("taxi", 1, reason="r", actor="a")
    wait_for(lambda: server.post("taxi:predict", body)[1] == first)


def test_without_the_option_nothing_is_kept(server):
    assert server.post("taxi:predict", {"instances": [ROW]})[2]["x-cache"] is None


def kept(rows: int) -> Kept:
    return Kept(b"{}", Part(Batch({}, {"y": np.zeros(rows, np.float32)}, rows), 0, rows), True, True)


def test_what_was_not_asked_for_longest_goes_first_and_the_size_is_kept():
    cache = AnswerCache(20_000, Metrics())
    keys = [cache.key("taxi", 1, b"%d" % n) for n in range(40)]
    for key in keys:
        cache.put(key, kept(100))
        assert cache.get(keys[0]), "asked for again and again"
    held = [key for key in keys if cache.get(key)]
    assert len(held) == 20_000 // kept(100).nbytes
    assert held == [keys[0], *keys[-len(held) + 1 :]]
    cache.put(cache.key("taxi", 1, b"large"), kept(10_000))
    assert cache.get(cache.key("taxi", 1, b"large")) is None, "it would displace all others"


def test_a_key_is_of_one_question_alone():
    keys = [
        AnswerCache.key("taxi", 1, b"ab", b"c"),
        AnswerCache.key("taxi", 1, b"a", b"bc"),
        AnswerCache.key("taxi", 11, b"ab", b"c"),
        AnswerCache.key("taxi", 1, b"ab", b"c", b""),
    ]
    assert len(set(keys)) == len(keys)
