"""How a run looks in a terminal, in a log, and as JSON."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from components import progress
from components.formats import figure
from components.searched import values_in_words
from pipelines.run import Display
from pipelines.runners.results import ComponentResult, RunResult

_MARKS = {
    "waiting": ("·", "dim"),
    "running": ("▸", "cyan"),
    "succeeded": ("✓", "green"),
    "failed": ("✗", "red"),
    "skipped": ("-", "dim"),
    "canceled": ("✗", "yellow"),
}

_COUNTED = {"failed": "failed", "warnings": "warned", "not_judged": "not judged"}


class Lines(Display):
    """A line for every component that ends, and occasional ones while it works: for pipes, CI and Airflow's logs."""

    def __init__(self) -> None:
        self._told: set[str] = set()
        self._began: dict[str, float] = {}
        self._beat: progress.Beat | None = None

    def started(self, result: RunResult, out: TextIO, err: TextIO) -> None:
        self._out, self._err, self._result = out, err, result
        self._message, self._since = "working", time.monotonic()
        self._beat = progress.Beat(self._goes_on)
        self.said(f"{result.workload}: run {result.run_id}; {result.ui or f'log: {result.log}'}")

    def said(self, message: str) -> None:
        self._message, self._since = message, time.monotonic()
        self._print(message)

    def changed(self, result: RunResult) -> None:
        self._result = result
        for component in result.components:
            if component.status == "running":
                self._began.setdefault(component.id, time.monotonic())
        for component in result.components:
            if component.status not in ("waiting", "running") and component.id not in self._told:
                self._told.add(component.id)
                self._message, self._since = "working", time.monotonic()
                self._print(component_line(component))

    def left(self) -> None:
        if self._beat is not None:
            self._beat.stop()

    def _print(self, line: str) -> None:
        print(line, file=self._err, flush=True)
        if self._beat is not None:
            self._beat.rest()

    def _goes_on(self) -> None:
        """Prints what is being done, for how long, and how far it has come."""
        running = [one.id for one in self._result.components if one.status == "running"]
        since = self._began.get(running[0], self._since) if running else self._since
        line = f"{', '.join(running) or self._message}, {time.monotonic() - since:.0f} s"
        print("; ".join(part for part in (f"  ▸ {line}", progress.read()) if part), file=self._err, flush=True)

    def ended(self, result: RunResult) -> None:
        self.left()
        for line in summary_lines(result):
            print(line, file=self._out, flush=True)


class Screen(Display):
    """A table that fills as the run goes on."""

    def started(self, result: RunResult, out: TextIO, err: TextIO) -> None:
        self._console = Console(file=out)
        self._message = ""
        self._began: dict[str, float] = {}
        self._result = result
        self._live = Live(
            console=self._console,
            get_renderable=self._render,
            refresh_per_second=8,
            transient=True,
            redirect_stdout=False,  # what Keras prints belongs in the log, which stdout points to by now
            redirect_stderr=False,
        )
        self._live.start()

    def said(self, message: str) -> None:
        self._message, self._since = message, time.monotonic()

    def changed(self, result: RunResult) -> None:
        self._result = result
        self._message = ""
        for component in result.components:
            if component.status == "running":
                self._began.setdefault(component.id, time.monotonic())

    def ended(self, result: RunResult) -> None:
        self._live.stop()
        if result.components:
            self._console.print(_table(result))
        for line in summary_lines(result):
            self._console.print(line, highlight=False, soft_wrap=True)

    def left(self) -> None:
        self._live.stop()

    def _render(self) -> Group:
        title = Text.assemble(("Trainyard ", "bold"), f"{self._result.workload}, run {self._result.run_id}")
        parts: list[Text | Table] = [title]
        if self._message:
            parts.append(Text(f"  {self._message} … {time.monotonic() - self._since:.0f} s", "dim"))
        if self._result.components:
            parts.append(_table(self._result, self._began))
        return Group(*parts)


class Json(Lines):
    """Progress on stderr, one JSON object on stdout and nothing else there."""

    def ended(self, result: RunResult) -> None:
        self.left()
        print(result.to_json(), file=self._out, flush=True)
        if result.error:
            self.said(result.error)


def run_display(as_json: bool) -> Display:
    """How to show a run: one JSON object at the end, live on a terminal, or a line per component."""
    if as_json:
        return Json()
    return Screen() if sys.stdout.isatty() else Lines()


def component_line(component: ComponentResult) -> str:
    """One component's line."""
    mark = _MARKS.get(component.status, _MARKS["waiting"])[0]
    return f"  {mark} {component.id:<20} {_seconds(component):>9}  {_rows(component)}".rstrip()


def summary_lines(result: RunResult) -> list[str]:
    """The summary of a run: metrics, verdict, release, where to look."""
    lines = []
    if result.error:
        status = result.status if result.ui else "failed"
        lines.append(f"{result.workload}: {status}: {result.error}")
    if result.quarantine:
        rows = result.quarantine["rows"]
        lines.append(f"set aside {rows:,} row{'s' * (rows != 1)} that did not fit: {result.quarantine['file']}")
    if result.unlabelled:
        lines.append(f"left out  {result.unlabelled:,} row{'s' * (result.unlabelled != 1)} without a label")
    if result.search:
        lines.append(f"search    {search_line(result.search)}")
    if result.metrics:
        shown = [_metric(result, name, value) for name, value in result.metrics.items() if value is not None]
        lines.append(f"metrics   {'  '.join(shown)}")
    if result.baseline:
        lines.append(f"baseline  {result.baseline['words']}")
    lines += variant_lines(result.variants)
    if result.champion:
        c = result.champion
        lines.append(
            f"champion  release {c['version']}: {c['metric']} {c['champion_value']:.4f}, challenger {c['challenger_value']:.4f} "
            f"({c['difference']:+.4f}, 95 % interval {c['ci_low']:+.4f} to {c['ci_high']:+.4f})"
        )
    if result.release:
        version = result.release["version"]
        lines.append(f"released  {result.workload} version {version}: {result.release['uri']}")
        lines.append(
            f"next      trainyard release promote {result.workload} {version}   (then: trainyard serve {result.workload})"
        )
    elif result.blessed is False:
        lines.append("not released: " + "; ".join(result.reasons))
    lines += _check_lines(result)
    lines += [f"warning   {warning}" for warning in result.warnings[:5]]
    if len(result.warnings) > 5:
        lines.append(f"          and {len(result.warnings) - 5} more, in the report")
    if result.predictions:
        p = result.predictions
        failed = f"; {p['failed']:,} failed, see {p['folder']}/failed.parquet" if p["failed"] else ""
        lines.append(f"predicted {p['predicted']:,} of {p['rows']:,} rows with release {p['version']}{failed}")
        lines.append(f"written   {p['folder']}")
    for name, path in result.reports.items():
        lines.append(f"report    {name}: {path}")
    if result.ui:
        lines += [f"why       {reason}" for reason in result.reasons]
        done = sum(c.status == "succeeded" for c in result.components)
        lines.append(f"run       {result.ui}")
        lines.append(
            f"{result.workload}: {result.status} in {result.seconds:.0f} s, {done} of {len(result.components)} tasks done"
        )
        return lines
    lines.append(f"log       {result.log}")
    if result.until:
        lines.append(f"part      until {', '.join(result.until)}; `trainyard run {result.workload}` goes on from there")
    if result.same_as:
        lines.append(
            f"unchanged since run {result.same_as}: data, code, contracts, libraries and champion are the same; its outputs stand"
        )
    cached = sum(c.cached for c in result.components)
    lines.append(
        f"{result.workload}: {result.status} in {result.seconds:.1f} s, {cached} of {len(result.components)} components from cache"
    )
    return lines


def search_line(search: Mapping[str, Any]) -> str:
    """What won a search for hyper-parameters, and what it cost."""
    values, epochs = values_in_words(search["values"]), search["epochs"]
    return (
        f"{search['metric']} {search['value']:.4f} on held-out rows of train with {values}; trial {search['trial']} of "
        f"{sum(search['counts'].values())}, {epochs['spent']:,} of {epochs['full']:,} epochs"
    )


def variant_lines(found: Mapping[str, Any] | None) -> list[str]:
    """Each compressed variant: what it comes to, and its size and latency as shares of the model's own."""
    if not found:
        return []
    return [
        f"variant   {one['name']} ({one['method']}): {found['metric']} {figure(one['value'])} (the model "
        f"{figure(found['original']['value'])}), {one['size']:.2f} of its size, {one['latency']['64']:.2f} of its "
        "time for 64 rows"
        for one in found["variants"]
    ]


def _metric(result: RunResult, name: str, value: float) -> str:
    """A metric; if a threshold judges it, also its confidence interval and what a trivial model reaches."""
    sure, trivial = result.bounds.get(name) or {}, result.trivial.get(name)
    if not sure.get("gated"):
        return f"{name} {value:.4f}"
    beside = f"; a trivial model {trivial:.4f}" if trivial is not None else ""
    return f"{name} {value:.4f} ({sure['words']}{beside})"


def _check_lines(result: RunResult) -> list[str]:
    """How many of all gates' checks passed, and which could not be judged."""
    counts = [gate["counts"] for gate in result.gates if "counts" in gate]  # runs of earlier versions have none
    if not counts:
        return []
    many = {kind: sum(one[kind] for one in counts) for kind in counts[0]}
    parts = [f"{many['passed']} passed"]
    parts += [f"{many[kind]} {word}" for kind, word in _COUNTED.items() if many[kind]]
    told = [one["message"] for gate in result.gates for one in gate["findings"] if one["verdict"] == "not judged"]
    more = [f"          and {many['not_judged'] - 5} more, in the report"] if many["not_judged"] > 5 else []
    return [f"checks    {', '.join(parts)}", *(f"          {one}" for one in told[:5]), *more]


def _table(result: RunResult, began: Mapping[str, float] | None = None) -> Table:
    """`began`: when each component started, by the monotonic clock, so that a running one shows its time."""
    table = Table(box=None, padding=(0, 2, 0, 0), show_edge=False)
    table.add_column("")
    table.add_column("component")
    table.add_column("time", justify="right")
    table.add_column("rows", justify="right")
    for component in result.components:
        mark, style = _MARKS.get(component.status, _MARKS["waiting"])
        shown = _seconds(component)
        if began and component.status == "running" and component.id in began:
            shown = f"{time.monotonic() - began[component.id]:.0f} s"
        rows = progress.read() if began and component.status == "running" else _rows(component)
        table.add_row(Text(mark, style), component.id, shown, rows)
    return table


def _seconds(component: ComponentResult) -> str:
    if component.cached:
        return "cached"
    return "" if component.seconds is None else f"{component.seconds:.1f} s"


def _rows(component: ComponentResult) -> str:
    if component.rows_in is None:
        return ""
    if component.rows_out is None or component.rows_out == component.rows_in:
        return f"{component.rows_in:,}"
    return f"{component.rows_in:,} → {component.rows_out:,}"
