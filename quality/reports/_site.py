"""Builds the site: writes the pages that have changed, and no others."""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import functools
import hashlib
import json
import math
import multiprocessing
import os
import pathlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import storage
from quality.history import History, Validation
from quality.reports import _export, _pages, _paths, site_views
from quality.reports._folder import Folder

MAX_COLUMN_PAGES = 300
_ALONE = 200
"""How many validations' pages one process writes in the time that a second one takes to load."""
_MOST_PROCESSES = 8
_Load = Callable[[str], Validation | None]


@dataclasses.dataclass(frozen=True)
class Built:
    """What a build did: the site's start page, pages written, pages already up to date."""

    index: pathlib.Path
    written: int
    kept: int


def build(history: History, folder: pathlib.Path, only: str | None = None) -> Built:
    """Writes the site into a folder, or updates the one that is there.

    Pages of validations are never removed: their URLs are permanent, even if the history forgets them. Several builds into
    one folder at a time are fine. Many pages are made by several processes.

    Args:
        only: the one workload whose pages are looked after, beside the overview; default: all.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names = history.workloads()
    chosen = [name for name in names if only in (None, name)]
    with _processes(history, chosen) as pool:
        if pool is None:
            made = [_build_workload(history, folder, name) for name in chosen]
        else:
            made = list(pool.map(_build_in_process, [history.url] * len(chosen), [folder] * len(chosen), chosen))
    with storage.exclusive(folder / ".lock", math.inf):  # of two overviews the one that was read later must stay
        made.append(_build_overview(history, folder))
    written, kept = (sum(counts) for counts in zip(*made, strict=True))
    return Built(folder / _paths.INDEX, written, kept)


def page_of(folder: pathlib.Path, workload: str, validation_id: str) -> pathlib.Path:
    """Where the page of a validation lies in a site."""
    return folder / _paths.validation(workload, validation_id)


def _build_overview(history: History, folder: pathlib.Path) -> tuple[int, int]:
    site = Folder(folder)
    site.put(_paths.STYLE, "", _pages.style)
    views = site_views.overview_views(history, _pages.STRIP)
    newest_first = sorted(views, key=lambda view: view.newest.validation.created_at, reverse=True)
    newest_first.sort(key=lambda view: site_views.GRAVEST_FIRST.index(view.outcome))
    key = _digest([entry.validation for view in views for entry in (*view.spans, *view.now)])
    site.put(_paths.INDEX, key, partial(_pages.overview, newest_first))
    site.put("index.json", key, partial(_export.overview_json, newest_first))
    site.close()
    return site.written, site.kept


def _build_workload(history: History, folder: pathlib.Path, name: str) -> tuple[int, int]:
    """Pages (written, up to date) of one workload."""
    site = Folder(folder, _paths.slug(name))
    light = site_views.workload_view(history, name, columns=False)
    whole = _digest([entry.validation for entry in light.entries], light.releases)
    # A workload's own page is written last: if it is current, all others are.
    if not site.is_current(_paths.workload(name), whole):
        _write_workload(site, history, site_views.workload_view(history, name), whole)
    site.close()
    return site.written, site.kept


def _write_workload(site: Folder, history: History, view: site_views.WorkloadView, whole: str) -> None:
    for name, text in _export.workload_files(view).items():
        site.put(f"{_paths.slug(view.name)}/{name}", whole, text)
    for column in view.columns()[:MAX_COLUMN_PAGES]:
        page = _paths.column(view.name, column)
        site.put(page, whole, partial(_pages.column, view, column))
        site.put(page.replace(".html", ".csv"), whole, partial(_export.column_csv, view, column))
        site.put(page.replace(".html", ".json"), whole, partial(_export.column_json, view, column))
    # Each validation is read once, though it is both shown and the reference of the next one.
    load = functools.lru_cache(maxsize=4)(history.load)
    for place, entry in enumerate(view.entries):
        _write_validation(site, load, view, place)
        if entry.newest and entry.validation.span is not None:
            to = _paths.validation(view.name, entry.validation.id)
            page = _paths.span(view.name, entry.validation.span)
            site.put(page, to, partial(_pages.forward, page, to, entry.label))
    site.put(_paths.workload(view.name), whole, partial(_pages.workload, view, MAX_COLUMN_PAGES))


def _write_validation(site: Folder, load: _Load, view: site_views.WorkloadView, place: int) -> None:
    entry = view.entries[place]
    neighbours = _pages.neighbours(view, place)
    page = _paths.validation(view.name, entry.validation.id)
    key = _digest([entry.validation, *(other.validation for other in neighbours if other)])
    if site.is_current(page, key):
        return
    whole = load(entry.validation.id)
    if whole is None:  # deleted during the build
        return
    reference = load(before) if (before := whole.reference or _pages.span_before(view, place)) else None
    beside = pathlib.PurePosixPath(page).parent
    docs = site.copy_documents(whole.documents, str(beside))
    for name, text in _export.validation_files(whole).items():
        site.put(f"{beside}/{name}", key, partial(str, text))
    site.put(page, key, partial(_pages.validation, view, whole, reference, neighbours, docs))


@contextlib.contextmanager
def _processes(history: History, names: Sequence[str]) -> Iterator[concurrent.futures.Executor | None]:
    """A pool of processes, if there is enough to do and they can reach the database; else None."""
    many = min(len(os.sched_getaffinity(0)), len(names), _MOST_PROCESSES)
    if many < 2 or ":memory:" in history.url or history.count(names) < _ALONE:
        yield None
        return
    # Not forked: a child would share our database connections.
    with concurrent.futures.ProcessPoolExecutor(many, multiprocessing.get_context("spawn")) as pool:
        yield pool


def _build_in_process(url: str, folder: pathlib.Path, name: str) -> tuple[int, int]:
    with History.open(url) as history:
        return _build_workload(history, folder, name)


def _digest(validations: Sequence[Validation], *more: object) -> str:
    said = [{**vars(one), "checks": (), "columns": (), "changes": ()} for one in validations]
    return hashlib.sha256(json.dumps([said, [repr(one) for one in more]], default=str).encode()).hexdigest()
