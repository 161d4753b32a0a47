"""Searches for requests that the model server does not answer as it should: `python -m tests.serving.fuzz --minutes 60 --seed 1`.

Each property is given as many examples in turn as there is time for, with new seeds each round. What is found is printed with the
value that shows it, in its smallest form; the exit code is 1 then.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import sys
import tempfile
import time
import traceback

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

from hypothesis import HealthCheck, Phase, settings

from fuzz import codecs, lanes, properties, wire

_HOW = settings(
    deadline=None,
    database=None,
    phases=(Phase.generate, Phase.target, Phase.shrink),
    suppress_health_check=list(HealthCheck),
    print_blob=False,
    report_multiple_bugs=False,
)
Searched = properties.Property | lanes.Scheduling


def search(one: Searched, number: int, examples: int) -> str:
    """What is found; empty: nothing."""
    try:
        one.search(number, settings(_HOW, max_examples=examples))
    except Exception as error:
        said = "".join(traceback.format_exception(error, limit=-4))
        return said if len(said) < 8000 else f"{said[:3000]} ... {said[-5000:]}"
    return ""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.serving.fuzz", description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--examples", type=int, default=300, help="of a property in a round (default %(default)s)")
    parser.add_argument("--only", default="", help="properties whose names have this in them")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for server in wire.served(pathlib.Path(folder)):
            every: list[Searched] = [*codecs.PROPERTIES, lanes.Scheduling(), *wire.properties(server)]
            found = _rounds([one for one in every if options.only in one.name], options, server)
    return bool(found)


def _rounds(left: list[Searched], options: argparse.Namespace, server: wire.Wire) -> dict[str, str]:
    end, number, done = time.monotonic() + options.minutes * 60, options.seed, 0
    found: dict[str, str] = {}
    while time.monotonic() < end and left:
        for one in list(left):
            if time.monotonic() > end:
                break
            if said := search(one, number, options.examples):
                found[one.name] = said
                left.remove(one)
                print(f"FOUND {one.name} (seed {number})\n{said}", flush=True)
            done += options.examples
        if "Traceback" in (log := server.server.log()):
            found["log"] = log
            print(f"FOUND in the server's log (seed {number})\n{log[-4000:]}", flush=True)
            break
        print(f"seed {number}: {done:,} examples, server {server.resident() / 1e6:,.0f} MB", flush=True)
        number += 1
    print(f"{done:,} examples, seeds {options.seed} to {number - 1}, found: {', '.join(found) or 'nothing'}")
    return found


if __name__ == "__main__":
    raise SystemExit(main())
