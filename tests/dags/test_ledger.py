"""What is trained on next, whatever was announced: spans that land meanwhile, late, out of order, or again."""

from __future__ import annotations

from pathlib import Path

import pytest

from dags.ledger import Ledger, Outcome
from landing import locations


class Site:
    """A landing folder, a ledger, and runs one after the other."""

    def __init__(self, folder: Path, window: int = 1) -> None:
        self.folder, self.window, self.runs = folder, window, 0
        self.state: dict[str, str] = {}
        self.get, self.set = self.state.get, self.state.__setitem__

    def land(self, *spans: int, text: str = "x\n1\n") -> None:
        for span in spans:
            (self.folder / f"span-{span}").mkdir(parents=True, exist_ok=True)
            (self.folder / f"span-{span}" / "a.csv").write_text(text)

    def ledger(self, run: str = "", definition: str = "") -> Ledger:
        known = locations(f"{self.folder}/span-{{SPAN}}/*")
        return Ledger(self, known, self.window, run, definition)  # type: ignore[arg-type]

    def train(self, span: int | None = None, outcome: Outcome | None = Outcome.TRAINED, definition: str = "") -> int:
        """A run on a span, or on the next."""
        self.runs += 1
        ledger = self.ledger(f"run-{self.runs}", definition)
        chosen = ledger.next() if span is None else span
        assert chosen is not None
        ledger.take(chosen, begins=True)
        if outcome:
            ledger.settle(chosen, outcome)
        return chosen

    def rest(self) -> list[int]:
        """What is trained on from now on, until nothing is left."""
        found: list[int] = []
        while self.ledger().next() is not None and len(found) < 20:
            found.append(self.train())
        return found


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path)
    site.land(7, 8)
    site.train(8)
    return site


def test_it_begins_with_the_newest(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.land(1, 2, 3)
    assert site.ledger().next() is None
    site.train(3)
    assert site.rest() == [], "what was there before is for a backfill"


def test_spans_that_land_meanwhile_are_trained_on_in_order(site: Site) -> None:
    site.land(9, 10, 11)
    assert site.rest() == [9, 10, 11]
    site.land(14)
    assert site.rest() == [14]
    site.land(13)
    assert site.rest() == [13], "late, and newer than where it began"
    site.land(2)
    assert site.rest() == []


def test_with_a_window_as_few_runs_as_cover_them_all(tmp_path: Path) -> None:
    site = Site(tmp_path, window=3)
    site.land(1, 2, 3)
    site.train(3)
    site.land(4, 5, 6, 7)
    assert site.rest() == [6, 7]
    site.land(8, 10)
    assert site.rest() == [10]
    site.land(9)
    assert site.rest() == [10], "the window of the newest has another span in it"


def test_a_refused_span_waits_until_it_is_replaced_and_keeps_nobody_waiting(site: Site) -> None:
    site.land(9, 10)
    assert site.train(outcome=Outcome.REFUSED) == 9
    assert site.rest() == [10]
    site.land(9, text="x\nmended\n")
    assert site.rest() == [9]
    site.land(11)
    site.train(outcome=Outcome.REFUSED, definition="yesterday's schema")
    assert site.rest() == [11], "code or contracts have changed since"


def test_a_run_that_failed_is_for_a_person_to_clear(site: Site) -> None:
    site.land(9)
    assert site.train(outcome=None) == 9
    assert site.ledger().next() is None
    assert site.ledger(f"run-{site.runs}").next() == 9, "cleared"
    site.land(10)
    assert site.rest() == [10]


def test_a_span_that_is_replaced_while_it_is_trained_on_is_trained_on_again(site: Site) -> None:
    site.land(9)
    ledger = site.ledger("run")
    ledger.take(9, begins=True)
    site.land(9, text="x\nother\n")
    site.ledger("run").settle(9, Outcome.TRAINED)
    assert site.rest() == [9]


def test_one_that_is_being_written_keeps_nobody_waiting(site: Site) -> None:
    site.land(9, 10)
    (site.folder / "span-9" / "b.csv.part").touch()
    assert site.rest() == [10]
    (site.folder / "span-9" / "b.csv.part").unlink()
    assert site.rest() == [9]


def test_what_is_kept_stays_small(site: Site) -> None:
    site.land(*range(9, 40))
    assert len(site.rest()) == 20 and site.state["spans_taken_on"] == "8-28"
