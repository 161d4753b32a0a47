from __future__ import annotations

import threading

import pytest

from spec.repeating import repeating


def test_work_is_repeated_while_the_body_runs_and_never_after_it() -> None:
    calls, thrice = [], threading.Event()

    def work() -> None:
        calls.append(threading.current_thread())
        if len(calls) == 3:
            thrice.set()

    with pytest.raises(ValueError, match="of the body"), repeating(work, 0.01):
        assert thrice.wait(20)
        raise ValueError("of the body")
    assert not calls[0].is_alive() and calls[0] is not threading.current_thread()


def test_a_body_that_is_quicker_sees_none() -> None:
    calls: list[int] = []
    with repeating(lambda: calls.append(1), 60):
        pass
    assert not calls
