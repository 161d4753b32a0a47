"""The model card: one page of Markdown about the model that a run made. What it is, its data, its figures, its limits."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from components import formats
from components.gates import Severity
from components.report import verdict
from components.report.evaluation_view import SMALL_SLICE, metric_rows, others, sentence, slice_groups, training_words
from components.report.facts import RunFacts
from components.report.responsible_view import fairness_tables
from components.report.search_view import search_sentence
from spec import graph
from spec.words import one_line

_WEAKEST = 5  # slices of each column
_MOST_NEEDED = 10  # columns
# What Markdown, or the HTML inside of it, would take for markup.
_MARKUP = re.compile(r"([\\`*_{}\[\]()#|~])")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def render_card(facts: RunFacts) -> str:
    """The card as Markdown with tables. Texts from the data and the workload stay texts.

    Example:
        >>> render_card(RunFacts({"name": "taxi", "task": "binary"}, "run-1")).splitlines()[0]
        '# taxi'
    """
    figures = [_metrics(facts), _slices(facts), _fairness(facts), _importance(facts)]
    sections = [_head(facts), _use(facts), _data(facts), _training(facts), *figures, _limits(facts)]
    return "\n\n".join(section for section in sections if section) + "\n"


def _head(facts: RunFacts) -> str:
    workload, release = facts.workload, facts.release or {}
    judged = verdict.verdict(facts)
    released = f"version {release['version']}, {release.get('uri') or ''}".rstrip(", ") if release else "none"
    rows = [
        ("Task", workload.get("task")),
        ("Owner", workload.get("owner")),
        ("Release", released),
        ("Digest", release.get("digest")),
        ("Code revision", release.get("code_revision")),
        ("Code digest", release.get("code_digest")),
        ("Run", facts.run_id),
        ("Made", formats.when(facts.created_at)),
    ]
    parts = [f"# {text(workload.get('name', 'model'))}", text(judged.sentence)]
    parts += [text(workload["description"])] if workload.get("description") else []
    return "\n\n".join([*parts, _table(("", ""), [(name, str(value)) for name, value in rows if value])])


def _use(facts: RunFacts) -> str:
    """What workload.yaml says; nothing is made up."""
    card = facts.workload.get("card") or {}
    lines = [text(card["intended_use"])] if card.get("intended_use") else []
    lines += [f"Questions: {text(card['contact'])}"] if card.get("contact") else []
    return "## Intended use\n\n" + "\n\n".join(lines) if lines else ""


def _data(facts: RunFacts) -> str:
    label = (facts.metrics or {}).get("label")
    spans = (facts.release or {}).get("spans") or ()
    lines = [f"- Label: {text(label)}"] if label else []
    lines += [
        f"- Span {text(one.get('span'))}: {formats.count(one.get('rows'))} rows, {text(one.get('digest', ''))}"
        for one in spans
    ]
    if facts.dataset:
        split = ", ".join(f"{text(name)} {formats.count(rows)}" for name, rows in facts.dataset.rows.items())
        lines += [f"- Rows: {split}; {formats.plural(len(facts.dataset.columns), 'column')}"]
    learnt = set((facts.workload.get("data") or {}).get("personal_features") or ())
    for names, said in (
        (facts.personal - learnt - {label}, "no feature is made of them"),
        (facts.personal & learnt, "the model learns from them, as data.personal_features says"),
    ):
        if names:
            lines.append(f"- Personal columns, {text(said)}: {text(', '.join(sorted(names)))}")
    return _section("Data", lines)


def _training(facts: RunFacts) -> str:
    training = facts.training or {}
    settings = ", ".join(f"{name} {value}" for name, value in sorted((training.get("hyperparameters") or {}).items()))
    lines = []
    if formats.is_number(training.get("parameters")):
        lines.append(f"- Keras model with {formats.count(training['parameters'])} parameters")
    if training.get("epochs"):
        lines.append(
            f"- Epochs: {len(training['epochs'])}, the weights of epoch {training.get('best_epoch')} were kept"
        )
    if (seed := (facts.workload.get("training") or {}).get("seed")) is not None:
        lines.append(f"- Seed: {seed}")
    lines += [f"- {text(sentence)}" for sentence in training_words(training)]
    if facts.search:
        lines.append(f"- {text(search_sentence(facts))}")
    if settings:
        lines.append(f"- Settings: {text(settings)}")
    return _section("Training", lines)


def _metrics(facts: RunFacts) -> str:
    metrics = facts.metrics or {}
    if not metrics:
        return ""
    rows = [
        (one.name, f"{one.value}, {one.sure}" if one.sure else one.value, *one.others, f"{one.bound} {one.word}")
        for one in metric_rows(facts)
    ]
    said = f"On {formats.count(metrics.get('rows'))} rows of the test split."
    if baseline := metrics.get("baseline"):
        said += f" {sentence(baseline['words'])}"
    return f"## Metrics\n\n{said}\n\n{_table(('Metric', 'This model', *(head for head, _ in others(facts)), 'Bound'), rows)}"


def _slices(facts: RunFacts) -> str:
    _, groups = slice_groups(facts, limit=_WEAKEST)
    rows = [
        (group.column, one.value, one.rows, formats.figure(one.primary), one.word)
        for group in groups
        for one in group.rows
    ]
    if not rows:
        return ""
    head = ("Column", "Value", "Rows", facts.primary.title, "Bound")
    return f"## Weakest slices\n\n{_table(head, rows)}"


def _fairness(facts: RunFacts) -> str:
    rows = [
        (table.column, gap.title, f"{gap.value}, {gap.sure}" if gap.sure else gap.value, f"{gap.bound} {gap.word}")
        for table in fairness_tables(facts)
        for gap in table.gaps
    ]
    return f"## Fairness\n\n{_table(('Column', 'Measure', 'Among its groups', 'Bound'), rows)}" if rows else ""


def _importance(facts: RunFacts) -> str:
    found = (facts.metrics or {}).get("importance")
    if not found or not found["columns"]:
        return ""
    title = facts.metric(found["metric"]).title
    said = f"By how much {text(title)} gets worse when a column is shuffled among {formats.count(found['rows'])} rows of test."
    rows = [
        (one["column"], f"{formats.signed(one['drop'])} ± {formats.figure(one['deviation'])}")
        for one in found["columns"][:_MOST_NEEDED]
    ]
    return f"## What the model needs most\n\n{said}\n\n{_table(('Column', title), rows)}"


def _limits(facts: RunFacts) -> str:
    """What workload.yaml says, and what this run itself found; a card cannot know what the model will meet."""
    metrics = facts.metrics or {}
    lines = [f"- {text(limit)}" for limit in (facts.workload.get("card") or {}).get("limits") or ()]
    lines += [f"- {text(reason)}" for reason in verdict.verdict(facts).details]
    lines += [
        f"- {text(check.words)} ({text(graph.title(node))}, warning)"
        for node, gate in facts.gates.items()
        for check in gate.objections(Severity.WARNING)
    ]
    if facts.quarantined:
        lines.append(f"- {formats.plural(facts.quarantined, 'malformed row')} of the data were set aside")
    if facts.unlabelled:
        lines.append(f"- {formats.plural(facts.unlabelled, 'row')} without a label were left out")
    small = [one for one in metrics.get("slices") or () if (one.get("rows") or 0) < SMALL_SLICE]
    if small:
        lines.append(
            f"- {formats.plural(len(small), 'slice')} with less than {SMALL_SLICE} rows: their figures say little"
        )
    if metrics and not metrics.get("champion"):
        lines.append("- It was not compared with another model")
    if metrics:
        lines.append("- Figures are of held-out rows of the spans above; they say nothing about data of another kind")
    return _section("Limits", lines)


def _section(title: str, lines: Sequence[str]) -> str:
    return f"## {title}\n\n" + "\n".join(lines) if lines else ""


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head)]
    written = ["| " + " | ".join(cells) + " |" for cells in lines]
    written += ["| " + " | ".join(text(cell) for cell in row) + " |" for row in rows]
    return "\n".join(written)


def text(value: object) -> str:
    """A text that no Markdown reader takes for markup, on one line."""
    flat = one_line(value)
    return _MARKUP.sub(r"\\\1", "".join(_ENTITIES.get(one, one) for one in flat))
