"""Builds the site: every page that would differ from what lies there already, and nothing else."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import pathlib
import shutil
from collections.abc import Callable, Sequence
from functools import partial

from pipelines.history import History, Outcome, Validation
from pipelines.reports import _export, _pages, _paths, _views

_MANIFEST = ".site.json"
_GRAVEST_FIRST = (Outcome.FAILED, Outcome.WARNED, Outcome.PASSED)
MAX_COLUMN_PAGES = 300


@dataclasses.dataclass(frozen=True)
class Built:
    """What a build did: where the site begins, pages written, pages that were up to date."""

    index: pathlib.Path
    written: int
    kept: int


def build(history: History, folder: pathlib.Path, only: str | None = None) -> Built:
    """Writes the site into a folder, or brings the one that lies there up to date.

    A page is written beside its place and renamed, so that a reader never sees half of it. Pages of validations are never
    removed: their URLs are permanent, even if the history forgets them.

    Args:
        history: to read from.
        folder: of the site.
        only: the one workload whose pages are looked after, beside the overview; default: all.
    """
    folder.mkdir(parents=True, exist_ok=True)
    site = _Site(folder)
    site.put(_paths.STYLE, "", _pages.style)
    views = [_views.workload_view(history, name, columns=False) for name in history.workloads()]
    for view in views:
        if only in (None, view.name) and not _is_current(site, view):
            _build_workload(site, history, _views.workload_view(history, view.name))
    _build_overview(site, views)
    site.close()
    return Built(folder / _paths.INDEX, site.written, site.kept)


def page_of(folder: pathlib.Path, workload: str, validation_id: str) -> pathlib.Path:
    """Where the page of a validation lies in a site."""
    return folder / _paths.validation(workload, validation_id)


def _build_overview(site: _Site, views: Sequence[_views.WorkloadView]) -> None:
    newest_first = sorted(views, key=lambda view: view.newest.validation.created_at, reverse=True)
    newest_first.sort(key=lambda view: _GRAVEST_FIRST.index(view.newest.validation.outcome))
    key = _digest([entry.validation for view in views for entry in view.spans[: _pages.STRIP]])
    site.put(_paths.INDEX, key, partial(_pages.overview, newest_first))
    site.put("index.json", key, partial(_export.overview_json, newest_first))


def _is_current(site: _Site, view: _views.WorkloadView) -> bool:
    """Whether nothing was added to a workload since its own page, the last that is written, was made."""
    return site.is_current(_paths.workload(view.name), _key(view))


def _key(view: _views.WorkloadView) -> str:
    return _digest([entry.validation for entry in view.entries], view.releases)


def _build_workload(site: _Site, history: History, view: _views.WorkloadView) -> None:
    whole = _key(view)
    for name, text in _export.workload_files(view).items():
        site.put(f"{_paths.slug(view.name)}/{name}", whole, text)
    for column in view.columns()[:MAX_COLUMN_PAGES]:
        page = _paths.column(view.name, column)
        site.put(page, whole, partial(_pages.column, view, column))
        site.put(page.replace(".html", ".csv"), whole, partial(_export.column_csv, view, column))
    for place, entry in enumerate(view.entries):
        _build_validation(site, history, view, place)
        if entry.newest and entry.validation.span is not None:
            to = _paths.validation(view.name, entry.validation.id)
            page = _paths.span(view.name, entry.validation.span)
            site.put(page, to, partial(_pages.forward, page, to, entry.label))
    site.put(_paths.workload(view.name), whole, partial(_pages.workload, view, MAX_COLUMN_PAGES))


def _build_validation(site: _Site, history: History, view: _views.WorkloadView, place: int) -> None:
    entry = view.entries[place]
    neighbours = _pages.neighbours(view, place)
    page = _paths.validation(view.name, entry.validation.id)
    key = _digest([entry.validation, *(other.validation for other in neighbours if other)])
    if site.is_current(page, key):
        return
    whole = history.load(entry.validation.id)
    if whole is None:  # deleted while we build
        return
    before = next((other for other in view.entries[place + 1 :] if other.newest and other.label != entry.label), None)
    reference = history.load(before.validation.id) if before else None
    beside = pathlib.PurePosixPath(page).parent
    docs = site.copy_documents(whole, str(beside))
    for name, text in _export.validation_files(whole).items():
        site.put(f"{beside}/{name}", key, partial(str, text))
    site.put(page, key, partial(_pages.validation, view, whole, reference, neighbours, docs))


class _Site:
    """The folder, and what each of its pages was made from."""

    def __init__(self, folder: pathlib.Path) -> None:
        self._folder = folder
        self._known: dict[str, str] = {}
        self.written = self.kept = 0
        with contextlib.suppress(OSError, ValueError):  # without it everything is made anew
            self._known = dict(json.loads((folder / _MANIFEST).read_text(encoding="utf-8")))

    def is_current(self, page: str, key: str) -> bool:
        current = self._known.get(page) == _versioned(key) and (self._folder / page).is_file()
        self.kept += current
        return current

    def put(self, page: str, key: str, make: Callable[[], str]) -> None:
        if self.is_current(page, key):
            return
        path = self._folder / page
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.partial")
        partial.write_text(make(), encoding="utf-8", errors="backslashreplace", newline="")
        partial.replace(path)
        self._known[page] = _versioned(key)
        self.written += 1

    def copy_documents(self, validation: Validation, beside: str) -> dict[str, str]:
        """Copies a validation's further pages into the site; name -> path within the validation's folder."""
        copied = {}
        for name, place in validation.documents.items():
            source = pathlib.Path(place.removeprefix("file://"))
            if not source.is_file():  # in an object store, or gone
                continue
            target = self._folder / beside / _paths.slug(name)
            if name == "data_docs":  # pages that link to each other
                shutil.copytree(source.parent, target, dirs_exist_ok=True)
            else:
                target.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target / source.name)
            copied[name] = f"{_paths.slug(name)}/{source.name}"
        return copied

    def close(self) -> None:
        partial = self._folder / f"{_MANIFEST}.partial"
        partial.write_text(json.dumps(self._known))
        partial.replace(self._folder / _MANIFEST)


def _digest(validations: Sequence[Validation], *more: object) -> str:
    said = [dataclasses.asdict(dataclasses.replace(v, checks=(), columns=(), changes=())) for v in validations]
    return hashlib.sha256(json.dumps([said, [repr(one) for one in more]], default=str).encode()).hexdigest()


def _versioned(key: str) -> str:
    return f"{_pages.version()}:{key}"
