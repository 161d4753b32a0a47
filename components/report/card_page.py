"""Pages of a model card: HTML for a browser, Markdown for a terminal, a wiki, a repository."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from components.formats import count, figure, is_number, percent, plural, signed, when
from components.report.evaluation_view import bound_words
from components.report.render import environment
from spec.words import one_line

# What Markdown, or the HTML inside of it, would take for markup.
_MARKUP = re.compile(r"([\\`*_{}\[\]()#|~])")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


@dataclasses.dataclass(frozen=True)
class Section:
    """A part of the page; what is empty is left out.

    Attributes:
        words: paragraphs.
        points: of a list.
        head: of the table; its cells are texts.
    """

    title: str
    words: tuple[str, ...] = ()
    points: tuple[str, ...] = ()
    head: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()

    @property
    def empty(self) -> bool:
        return not (self.words or self.points or self.rows)


def html(card: Mapping[str, Any], release: Mapping[str, Any] | None) -> str:
    """The card as a page of its own, without a single outside resource.

    Args:
        release: `release.json` of the model; None: there is none.
    """
    page = environment().get_template("card.html.j2")
    return page.render(card=card, released=_released(release), sections=_sections(card, release))


def markdown(card: Mapping[str, Any], release: Mapping[str, Any] | None) -> str:
    """The card as Markdown with tables. Texts from the data and the workload stay texts.

    Example:
        >>> markdown(document(RunFacts({"name": "taxi", "task": "binary"}, "run-1")), None).splitlines()[0]
        '# taxi'
    """
    parts = [f"# {text(card['model'])}", text(_released(release)), text(card["description"])]
    for section in _sections(card, release):
        parts += [f"## {section.title}", *map(text, section.words)]
        parts.append("\n".join(f"- {text(point)}" for point in section.points))
        parts.append(_table(section.head, section.rows) if section.rows else "")
    return "\n\n".join(part for part in parts if part) + "\n"


def _released(release: Mapping[str, Any] | None) -> str:
    if release is None:
        return "Not released."
    made = f", {when(str(release['created_at']))}" if release.get("created_at") else ""
    return f"Version {release['version']}{made}."


def _sections(card: Mapping[str, Any], release: Mapping[str, Any] | None) -> tuple[Section, ...]:
    evaluation = card["evaluation"]
    found = [_facts(card, release or {}), _use(card), _data(card["data"]), _training(card["training"])]
    if evaluation:
        found += [_metrics(evaluation), _slices(evaluation), _fairness(evaluation), _importance(evaluation)]
        found.append(_variants(evaluation))
    found.append(Section("Limits", points=tuple(card["limits"])))
    return tuple(one for one in found if not one.empty)


def _facts(card: Mapping[str, Any], release: Mapping[str, Any]) -> Section:
    rows = [
        ("Task", card["task"]),
        ("Owner", card["owner"]),
        ("Digest", release.get("digest")),
        ("Code revision", release.get("code_revision")),
        ("Code digest", release.get("code_digest")),
        ("Run", card["run"]),
    ]
    return Section("Model", head=("", ""), rows=tuple((name, str(value)) for name, value in rows if value))


def _use(card: Mapping[str, Any]) -> Section:
    """What workload.yaml says; nothing is made up."""
    questions = f"Questions: {card['contact']}" if card["contact"] else ""
    return Section("Intended use", words=tuple(one for one in (card["intended_use"], questions) if one))


def _data(data: Mapping[str, Any]) -> Section:
    lines = [f"Label: {data['label']}"] if data["label"] else []
    lines += [
        f"Span {one.get('span')}: {count(one.get('rows'))} rows, {one.get('digest', '')}".rstrip(", ")
        for one in data["spans"]
    ]
    if data["rows"]:
        split = ", ".join(f"{name} {count(rows)}" for name, rows in data["rows"].items())
        lines.append(f"Rows: {split}; {plural(data['columns'], 'column')}")
    personal = data["personal"]
    for names, said in (
        (personal["left_out"], "no feature is made of them"),
        (personal["learnt_from"], "the model learns from them, as data.personal_features says"),
    ):
        if names:
            lines.append(f"Personal columns, {said}: {', '.join(names)}")
    return Section("Data", points=tuple(lines))


def _training(training: Mapping[str, Any]) -> Section:
    lines = []
    if is_number(training["parameters"]):
        lines.append(f"Keras model with {count(training['parameters'])} parameters")
    if training["epochs"]:
        lines.append(f"Epochs: {training['epochs']}, the weights of epoch {training['best_epoch']} were kept")
    if training["seed"] is not None:
        lines.append(f"Seed: {training['seed']}")
    lines += training["words"]
    if settings := ", ".join(f"{name} {value}" for name, value in sorted(training["hyperparameters"].items())):
        lines.append(f"Settings: {settings}")
    return Section("Training", points=tuple(lines))


def _metrics(evaluation: Mapping[str, Any]) -> Section:
    found = evaluation["metrics"]
    heads = list(found[0]["beside"]) if found else []
    rows = [
        (one["title"], _sure(one), *(_if_any(one["beside"].get(head)) for head in heads), _bound(one)) for one in found
    ]
    said = [f"On {count(evaluation['rows'])} rows of the test split.", *filter(None, [evaluation["words"]])]
    return Section("Metrics", (" ".join(said),), head=("Metric", "This model", *heads, "Bound"), rows=tuple(rows))


def _slices(evaluation: Mapping[str, Any]) -> Section:
    rows = tuple(
        (one["column"], one["value"], count(one["rows"]), figure(one["figure"]), one["verdict"])
        for one in evaluation["slices"]
    )
    return Section("Weakest slices", head=("Column", "Value", "Rows", _title(evaluation), "Bound"), rows=rows)


def _fairness(evaluation: Mapping[str, Any]) -> Section:
    rows = tuple((one["column"], one["title"], _sure(one), _bound(one)) for one in evaluation["fairness"])
    return Section("Fairness", head=("Column", "Measure", "Among its groups", "Bound"), rows=rows)


def _importance(evaluation: Mapping[str, Any]) -> Section:
    title, found = "What the model needs most", evaluation["importance"]
    if not found:
        return Section(title)
    metric = _title(evaluation)
    said = f"By how much {metric} gets worse when a column is shuffled among {count(found['rows'])} rows of test."
    rows = [(one["column"], f"{signed(one['drop'])} ± {figure(one['deviation'])}") for one in found["columns"]]
    return Section(title, (said,), head=("Column", metric), rows=tuple(rows))


def _variants(evaluation: Mapping[str, Any]) -> Section:
    found = evaluation["variants"]
    sizes = list(found[0]["latency"]) if found else []
    rows = []
    for one in found:
        shares = (percent(share) for share in (one["size"], *(one["latency"][size] for size in sizes)))
        rows.append((one["name"], one["method"], figure(one["value"]), signed(one["loss"]), *shares))
    times = (f"Time for {plural(int(one), 'row')}" for one in sizes)
    head = ("Variant", "Method", _title(evaluation), "Loss", "Size", *times)
    said = "Sizes, compressed, and times are shares of the model's own."
    return Section("Compressed variants", (said,) if found else (), head=head, rows=tuple(rows))


def _title(evaluation: Mapping[str, Any]) -> str:
    """Of the metric by which models are compared."""
    return next((one["title"] for one in evaluation["metrics"] if one["metric"] == evaluation["metric"]), "")


def _sure(one: Mapping[str, Any]) -> str:
    return ", ".join(filter(None, [figure(one["value"]), one["interval"]]))


def _if_any(value: object) -> str:
    return "" if value is None else figure(value)


def _bound(one: Mapping[str, Any]) -> str:
    return f"{', '.join(map(bound_words, one['bounds']))} {one['verdict']}".strip()


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head)]
    written = ["| " + " | ".join(cells) + " |" for cells in lines]
    written += ["| " + " | ".join(text(cell) for cell in row) + " |" for row in rows]
    return "\n".join(written)


def text(value: object) -> str:
    """A text that no Markdown reader takes for markup, on one line."""
    flat = one_line(value)
    return _MARKUP.sub(r"\\\1", "".join(_ENTITIES.get(one, one) for one in flat))
