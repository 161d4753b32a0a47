"""Writes GX's Data Docs as a folder that opens from the file system.

The pages come from GX's own renderers and view, with three changes: GX inserts data values unescaped, so that markup in a value
becomes markup in the page; it loads styles and scripts from seven content delivery networks; and it copies 4 MB of pictures and
fonts.
"""

from __future__ import annotations

import html
import html.parser
import pathlib
from typing import TYPE_CHECKING, Any

from components.data_quality._running import import_gx, quiet
from components.data_quality._style import STYLE
from components.data_quality.judging import plain
from components.gates import GateResult

if TYPE_CHECKING:
    import great_expectations as gx
    from great_expectations.core import ExpectationSuiteValidationResult

INDEX = "index.html"
_MOST = 200  # values of a list on a page, since GX's renderers take milliseconds per value
SUITE = "suite.html"

# Markup characters in data are replaced by private use characters, which GX's templates leave alone, and become entities at the
# end. Escaping first would show `&amp;lt;` where GX escapes too.
_MARKUP = {"<": "\ue000", ">": "\ue001", "&": "\ue002", '"': "\ue003", "'": "\ue004"}
_HIDE = str.maketrans(_MARKUP)
_SHOW = str.maketrans({hidden: html.escape(shown) for shown, hidden in _MARKUP.items()})


def write(
    validation: ExpectationSuiteValidationResult, suite: gx.ExpectationSuite, result: GateResult, folder: pathlib.Path
) -> None:
    """Writes index.html (the validation) and suite.html (what was asked) into a folder."""
    from great_expectations.render.renderer import ExpectationSuitePageRenderer, ValidationResultsPageRenderer
    from great_expectations.render.view import DefaultJinjaPageView

    folder.mkdir(parents=True, exist_ok=True)
    view = DefaultJinjaPageView()
    with quiet():  # a renderer that fails leaves its cell empty; validation.json has it all
        page = view.render(ValidationResultsPageRenderer().render(_hidden_validation(validation)))
        (folder / INDEX).write_text(_offline(page, _verdict(result)), encoding="utf-8")
        page = view.render(ExpectationSuitePageRenderer().render(_hidden_suite(suite)))
        (folder / SUITE).write_text(
            _offline(page, f'<p><a href="{INDEX}">Back to the results</a></p>'), encoding="utf-8"
        )


def _verdict(result: GateResult) -> str:
    objections, many = result.objections(), result.counts()
    word = "stops the run" if not result.passes else "passes" + (" with warnings" if result.failures() else "")
    rows = "".join(
        f'<tr><td><span class="badge {c.severity}">{c.severity if c.judged else c.verdict}</span></td>'
        f"<td>{html.escape(c.words)}</td></tr>"
        for c in objections
    )
    unjudged = f" {many['not_judged']} not judged." if many["not_judged"] else ""
    table = f'<table class="table"><tbody>{rows}</tbody></table>' if rows else ""
    return (
        f'<section class="verdict {"failed" if not result.passes else "passed"}"><h1>Data quality {word}</h1>'
        f"<p>{many['passed']} of {many['checks']} expectations hold.{unjudged}</p>{table}</section>"
    )


def _hide(value: Any) -> Any:
    if isinstance(value, str):
        return value.translate(_HIDE)
    if isinstance(value, dict):
        return {_hide(k): _hide(v) for k, v in value.items()}
    if not isinstance(value, list):
        return value
    if any(isinstance(one, dict) for one in value):  # the list of results
        return [_hide(one) for one in value]
    more = [f"... and {len(value) - _MOST:,} more"] if len(value) > _MOST else []
    return [*(_hide(v) for v in value[:_MOST]), *more]


def _hidden_validation(validation: ExpectationSuiteValidationResult) -> ExpectationSuiteValidationResult:
    from great_expectations.core.expectation_validation_result import expectationSuiteValidationResultSchema

    raw = plain(validation.to_json_dict())
    for one in raw["results"]:
        found = one["result"]
        if "unexpected_count" in found and "unexpected_percent" not in found:
            del found["unexpected_count"]  # or GX's renderer would need the percentage, which GX did not compute
    raw["meta"] = {
        k: v for k, v in raw["meta"].items() if k in ("great_expectations_version", "run_id", "batch_kwargs")
    }
    return expectationSuiteValidationResultSchema.load(_hide(raw))


def _hidden_suite(suite: gx.ExpectationSuite) -> gx.ExpectationSuite:
    raw = plain(suite.to_json_dict())
    kept = {k: _hide(v) for k, v in raw.items() if k in ("name", "expectations", "meta")}
    return import_gx().ExpectationSuite(**kept)


def _offline(page: str, lead: str) -> str:
    writer = _Rewriter()
    writer.feed(page)
    writer.close()
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Data quality</title><style>{STYLE}</style></head><body>{lead}"
        f"{''.join(writer.parts).translate(_SHOW)}</body></html>"
    )


def _attributes(kept: dict[str, str]) -> str:
    return "".join(f' {key}="{html.escape(value)}"' for key, value in kept.items())


# Tags of GX's page to keep, and to drop with their content; of other tags only the content is kept.
_KEPT = frozenset(
    (
        "div",
        "span",
        "p",
        "a",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "ul",
        "ol",
        "li",
        "strong",
        "b",
        "em",
        "i",
        "br",
        "hr",
    )
) | {"table", "thead", "tbody", "tr", "th", "td", "pre", "code", "small"}
_DROPPED = frozenset(["head", "script", "style", "noscript", "footer", "button", "label", "iframe", "object", "svg"])
_VOID = frozenset(["br", "hr", "img", "input", "link", "meta", "wbr", "source", "col"])
_MARKS = {"fa-check-circle": "&#10003;", "fa-times": "&#10007;", "fa-exclamation-triangle": "&#9888;"}


class _Rewriter(html.parser.HTMLParser):
    """Keeps the text and the structure of GX's page: no script, no style sheet, nothing from elsewhere."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._within = 0  # depth within dropped elements

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in _DROPPED or (self._within and tag not in _VOID):
            self._within += 1
        if self._within:
            return
        if tag not in _KEPT:
            return
        kept = {k: v for k, v in given.items() if k in ("id", "class", "colspan", "rowspan") and v}
        href = given.get("href") or ""
        if "expectations/" in href:
            kept["href"] = SUITE
        elif href.startswith("#"):
            kept["href"] = href
        self.parts.append(f"<{tag}{_attributes(kept)}>")
        self.parts += [mark for name, mark in _MARKS.items() if tag == "i" and name in (given.get("class") or "")]

    def handle_endtag(self, tag: str) -> None:
        if self._within:
            self._within -= tag not in _VOID
        elif tag in _KEPT and tag not in _VOID:
            self.parts.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        if not self._within:
            self.parts.append(html.escape(data, quote=False))
