"""Every case of the catalogue through the data gates: damage fails its checks and no others, the harmless fails none."""

from __future__ import annotations

import dataclasses
import pathlib
import shutil
from collections.abc import Callable

import pytest

from components.gates import Severity
from pipelines import datasets
from spec import home
from spec.workload import load_workload
from tests.catalogue import page
from tests.catalogue.cases import Case, csv, one_file, read
from tests.catalogue.damage import DAMAGE
from tests.catalogue.gates import INGESTION, Finding, Site
from tests.catalogue.harmless import HARMLESS

# One of each gate, and of each check that compares spans; the others take a minute together.
CORE = {
    "integer as float",
    "negative amounts",
    "cents for dollars",
    "stale span",
    "label leakage",
    "labels of other rows",
}
CORE |= {"as it was", "5 % fewer rows"}

Check = Callable[[Case], list[Finding]]


@pytest.fixture(scope="module")
def check(tmp_path_factory: pytest.TempPathFactory) -> Check:
    """Delivers a case as span 2, after an untouched span 1, and returns what the gates found in it."""
    root = tmp_path_factory.mktemp("catalogue")
    trips = {n: read(datasets.prepare("taxi", n, root / "source") / "trips.csv") for n in (1, 2)}
    taxi = load_workload(home.workloads_root() / "taxi")
    site = Site(taxi, home.schemas_root() / "taxi", root / "data", root / "work")
    site.work.mkdir()

    def deliver(span: int, files: dict[str, bytes]) -> None:
        folder = site.data / "taxi" / f"span-{span}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for name, content in files.items():
            (folder / name).write_bytes(content)

    deliver(1, dict(one_file(csv(trips[1]))))
    found, baseline = site.check(1)
    assert found == []

    def run(case: Case) -> list[Finding]:
        deliver(2, dict(case.deliver(trips[1 if case.again else 2])))
        return dataclasses.replace(site, workload=case.of(taxi)).check(2, baseline)[0]

    return run


def _cases(cases: tuple[Case, ...]) -> list[object]:
    return [pytest.param(case, id=case.name, marks=[] if case.name in CORE else [pytest.mark.slow]) for case in cases]


@pytest.mark.parametrize("case", _cases(DAMAGE))
def test_damage_fails_its_checks_and_no_others(check: Check, case: Case) -> None:
    found = check(case)
    stopped = {one.name for one in found if one.severity is Severity.CRITICAL}
    warned = {one.name for one in found if one.severity is Severity.WARNING}
    assert stopped == set(case.stops)
    assert set(case.warns) <= warned
    assert stopped or warned
    first = [one for one in found if one.name == (*case.stops, *case.warns)[0]]
    assert case.says and any(case.says in one.message for one in first), [one.message for one in first]
    if first[0].gate != INGESTION:  # its message names file, row and column
        assert case.shows and any(case.shows in one.evidence for one in first), [one.evidence for one in first]


@pytest.mark.parametrize("case", _cases(HARMLESS))
def test_what_is_harmless_stops_nothing(check: Check, case: Case) -> None:
    assert [one.message for one in check(case)] == []


def test_the_catalogue_is_as_large_as_it_claims() -> None:
    names = [case.name for case in (*DAMAGE, *HARMLESS)]
    assert len(names) == len(set(names)) and set(names) >= CORE
    assert len(DAMAGE) >= 25 and len(HARMLESS) >= 25


def test_the_page_is_up_to_date() -> None:
    written = pathlib.Path(page.PAGE).read_text(encoding="utf-8")
    assert written == page.render(), "run `python -m tests.catalogue` (it writes the page)"
