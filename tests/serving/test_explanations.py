"""What moved an answer, beside it: `?explain=true`."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import Server

HOUSE = {"instances": [{"area": 60.0}, {"area": 40.0}]}


def test_each_answer_has_its_explanation(server: Server) -> None:
    status, answer, _ = server.post("house:predict?explain=true", HOUSE)
    assert status == 200
    assert answer["predictions"] == [
        {
            "prediction": 120.0,
            "explanation": {"attributions": {"area": 20.0}, "baseline_score": 100.0, "explained": 120.0},
        },
        {
            "prediction": 80.0,
            "explanation": {"attributions": {"area": -20.0}, "baseline_score": 100.0, "explained": 80.0},
        },
    ]
    assert server.post("house:predict?explain=false", HOUSE)[1] == {"predictions": [120.0, 80.0]}


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        (
            "taxi:predict?explain=true",
            {"instances": [{"fare": 1.0, "hour": 1}]},
            "taxi version 1 has no signature 'explain'",
        ),
        ("house:predict?explain=1", HOUSE, "?explain= is true or false"),
        ("house:regress?explain=true", {"examples": [{"area": 1.0}]}, "of :regress"),
        ("house:predict?explain=true", {"inputs": {"area": [1.0]}}, 'ask with "instances"'),
        (
            "house:predict?explain=true",
            HOUSE | {"signature_name": "explain"},
            "of the signature 'explain' are not explained",
        ),
    ],
)
def test_refusals(server: Server, path: str, body: Any, message: str) -> None:
    status, answer, _ = server.post(path, body)
    assert (status, message in answer["error"]) == (400, True), answer
