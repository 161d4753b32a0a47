"""`trainyard run all` and `trainyard run --quick`."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import shutil
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, TextIO

from spec import exit_codes
from spec.errors import InputError
from spec.words import one_line

if TYPE_CHECKING:
    from pipelines.run import Display, RunRequest
    from pipelines.several import Outcome

ALL = "all"
_LONGEST = 160


def run_several(options: argparse.Namespace, request: RunRequest) -> int:
    """Runs one workload or all of them, and prints a line for each as it ends, and a summary.

    Raises:
        InputError: an option that is for one workload, or for a run of the whole.
    """
    for given, name in ((options.span, "--span"), (options.until, "--until")):
        if given:
            raise InputError(f"{name}: is for a run of one workload, without --quick. Leave it out.")
    if options.keep and not options.quick:
        raise InputError("--keep: is for --quick; other runs stay anyway.")
    from pipelines import several

    started, outcomes = time.monotonic(), []
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(several.own_home()) if options.quick else None
        names = several.in_order([] if options.workload == ALL else [options.workload])
        if not names:
            raise InputError("there is no workload. `trainyard new` makes one.")
        shown = _quiet if options.quick or options.json else _full
        for outcome in several.run_several(
            names, lambda name: dataclasses.replace(request, workload=name), shown, options.quick
        ):
            outcomes.append(outcome)
            print(_line(outcome, options.quick), file=sys.stderr if options.json else sys.stdout, flush=True)
    code = max((one.exit_code for one in outcomes), default=exit_codes.OK)
    for line in _summary(outcomes, time.monotonic() - started, options.quick):
        print(line, file=sys.stderr if options.json else sys.stdout)
    if folder is not None and not options.keep and code == exit_codes.OK:
        shutil.rmtree(folder, ignore_errors=True)
    elif folder is not None:
        print(f"kept      {folder}", file=sys.stderr)
    if options.json:
        print(json.dumps({"workloads": [_plain(one) for one in outcomes], "exit_code": code}, indent=2))
    return code


def _full() -> Display:
    from cli.display import run_display

    return run_display(as_json=False)


def _quiet() -> Display:
    from pipelines.run import Display
    from pipelines.runners.results import RunResult

    class Quiet(Display):
        """Says that a run begins, and where its log is."""

        def started(self, result: RunResult, out: TextIO, err: TextIO) -> None:
            print(f"  ▸ {result.workload}; log: {result.log}", file=err, flush=True)

    return Quiet()


def _line(outcome: Outcome, quick: bool) -> str:
    measured = "" if outcome.value is None else f"{outcome.metric} {outcome.value:.4f}"
    mark = "-" if outcome.skipped else "✓" if outcome.exit_code == exit_codes.OK else "✗"
    line = f"  {mark} {outcome.workload:<20} {outcome.task:<14} {measured:<24} {outcome.seconds:>6.1f} s  "
    return line + _made(outcome, quick)


def _made(outcome: Outcome, quick: bool) -> str:
    """What a run wrote, or why it wrote nothing."""
    result = outcome.result
    if result is None:
        return f"{'skipped' if outcome.skipped else 'failed'}: {one_line(outcome.why, _LONGEST)}"
    if result.error:
        return f"failed: {one_line(result.error, _LONGEST)}"
    if result.release:
        return f"release {result.release['version']}{', bounds not judged: a quick run' if quick else ''}"
    return f"not released: {one_line('; '.join(result.reasons), _LONGEST)}"


def _summary(outcomes: Sequence[Outcome], seconds: float, quick: bool) -> list[str]:
    skipped = [one for one in outcomes if one.skipped]
    failed = [one for one in outcomes if one.exit_code != exit_codes.OK]
    counts = f"{len(outcomes) - len(skipped) - len(failed)} ran, {len(failed)} failed, {len(skipped)} skipped"
    lines = [f"{len(outcomes)} workload{'s' * (len(outcomes) != 1)} in {seconds:.0f} s: {counts}"]
    if quick:
        lines.append("a quick run: it shows that everything works, and not how good a model is")
    lines += [f"skipped   {one.workload}: {one_line(one.why)}" for one in skipped]
    lines += [
        f"failed    {one.workload}: {one_line((one.result and one.result.error) or one.why)}"
        + (f" (log: {one.result.log})" if one.result else "")
        for one in failed
    ]
    return lines


def _plain(outcome: Outcome) -> dict[str, object]:
    result = outcome.result
    return {
        "workload": outcome.workload,
        "task": outcome.task,
        "status": "skipped" if outcome.skipped else result.status if result else "failed",
        "metric": outcome.metric,
        "value": outcome.value,
        "seconds": round(outcome.seconds, 1),
        "release": result.release if result else None,
        "error": (result.error if result else outcome.why) or None,
    }
