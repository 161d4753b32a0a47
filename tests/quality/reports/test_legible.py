"""Whether everybody can read the pages: structure for those who hear them, contrast for those who see little."""

from __future__ import annotations

import dataclasses
import html.parser
import pathlib
import re

import pytest

from quality.history import SERVING, History, Outcome
from quality.reports import _pages, build
from tests.quality.reports.conftest import validation


class Structure(html.parser.HTMLParser):
    """Headings, landmarks, tables and drawings, in the order of the page."""

    def __init__(self, path: pathlib.Path) -> None:
        super().__init__()
        self.headings: list[int] = []
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attributes)))
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))

    def all(self, *tags: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.found if tag in tags]


@pytest.fixture
def site(history: History, tmp_path: pathlib.Path) -> pathlib.Path:
    warned = dataclasses.replace(
        validation(4, Outcome.WARNED), id="asked", span=None, source=SERVING, reference="run-3"
    )
    history.record(warned)
    build(history, tmp_path / "site")
    return tmp_path / "site"


def test_pages_have_a_structure_that_can_be_heard(site: pathlib.Path) -> None:
    pages = [path for path in sorted(site.rglob("*.html")) if "spans" not in path.parts]
    assert len(pages) > 6
    for path in pages:
        page = Structure(path)
        assert page.headings.count(1) == 1, path
        steps = [b - a for a, b in zip(page.headings, page.headings[1:], strict=False)]
        assert max(steps, default=0) <= 1, f"{path} skips a level: {page.headings}"
        assert len(page.all("main")) == 1 and page.all("html")[0]["lang"] == "en" and len(page.all("title")) >= 1
        assert all(nav.get("aria-label") for nav in page.all("nav"))
        assert all(cell.get("scope") for cell in page.all("th")), path
        assert len(page.all("caption")) == len(page.all("table"))
        drawings = page.all("svg")
        assert all(svg["role"] == "img" and svg["aria-labelledby"] for svg in drawings)
        assert len(page.all("desc")) == len(drawings)
        regions = [one for one in page.all("div") if "tabindex" in one]
        assert all(one["tabindex"] == "0" and one["role"] == "region" and one["aria-label"] for one in regions)
        named = {one["id"] for _, one in page.found if one.get("id")}
        wanted = [one["aria-labelledby"] or "" for _, one in page.found if "aria-labelledby" in one]
        assert {name for names in wanted for name in names.split()} <= named, path
        jumps = [one["href"] or "" for one in page.all("a") if (one.get("href") or "").startswith("#")]
        assert {jump[1:] for jump in jumps} <= named, path


def test_no_outcome_is_told_by_colour_alone(site: pathlib.Path) -> None:
    for path in site.rglob("index.html"):
        page = path.read_text(encoding="utf-8")
        for cell in re.findall(r'<a class="cell .*?</a>', page):
            assert re.search(r'aria-label="[^"]*: (Trusted|Look at it|Stopped)"', cell) and re.search(r"[✓!✕]", cell)
        for badge in re.findall(r'<span class="badge.*?</span> ([^<]*)</span>', page):
            assert badge.strip()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(scheme: str) -> None:
    """WCAG 2 AA: 4.5 to 1 for text."""
    light, dark = re.findall(r":root \{(.*?)\}", _pages.style(), re.DOTALL)[:2]
    colours = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", light))
    if scheme == "dark":
        colours |= dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", dark))
    paper = _rgb(colours["paper"])
    grounds = {"paper": paper, "raised": _rgb(colours["raised"])}
    for name in ("ink", "soft", "good", "warn", "bad", "train"):
        for ground in grounds.values():
            assert _contrast(_rgb(colours[name]), ground) >= 4.5, (scheme, name)
    for name, share in (("good", 0.09), ("warn", 0.12)):  # the squares of site.css
        assert f"var(--{name}) {share:.0%}" in _pages.style().replace(" %", "%")
        ground = tuple(share * a + (1 - share) * b for a, b in zip(_rgb(colours[name]), paper, strict=True))
        assert _contrast(_rgb(colours[name]), ground) >= 4.5, (scheme, name)
    assert _contrast(paper, _rgb(colours["bad"])) >= 4.5


def _rgb(colour: str) -> tuple[float, ...]:
    return tuple(int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))


def _contrast(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    bright, dim = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


def _luminance(colour: tuple[float, ...]) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
