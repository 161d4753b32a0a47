"""A stand-in for `python -m cli.main`: run, predict and housekeeping, the same contract, a second instead of a minute.

Publishes a release that `model_server.py` can load into the real model store. The span's folder steers it: a file
`outcome.json` in it may say {"exit": 2, "reasons": [...]} (its data is bad: the gate DataQuality refuses it, or the one that
"gate" names; "gate": null: it cannot be read), {"blessed": false, "reasons": [...]} or {"seconds": 30}. As with the real one, a
part (`--until`) checks the data, and a whole run that is repeated is the one before.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from model_store import ModelStore, ReleaseDraft
from spec import home

DATA_GATES = ("ExampleValidator", "DataQuality", "DriftDetector")
GOLDEN = [{"trip_miles": float(miles)} for miles in range(1, 9)]


def main(arguments: list[str]) -> int:
    if arguments[0] == "predict":
        return predict(arguments)
    if arguments[0] == "housekeeping":
        print(json.dumps({"dry_run": "--yes" not in arguments, "items": 2, "bytes": 1000, "busy": []}))
        return 0
    return run(arguments)


def run(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("command")
    parser.add_argument("workload")
    parser.add_argument("--span", type=int)
    parser.add_argument("--until", action="append", default=[])
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args(arguments)
    span = asked.span or 1
    steering_file = home.data_root() / asked.workload / f"span-{span}" / "outcome.json"
    steering = json.loads(steering_file.read_text()) if steering_file.is_file() else {}
    run_id = f"{asked.workload}-span-{span}-{os.getpid()}"
    memo = home.runs_root(asked.workload) / f"memo-span-{span}.json"
    if memo.is_file():
        past = json.loads(memo.read_text())
        print(json.dumps(past | {"run_id": run_id, "same_as": past["run_id"]}))
        return 0
    if asked.until:
        print("  ok DataQuality  0.1 s", file=sys.stderr, flush=True)
        return check(asked.workload, run_id, span, asked.until, steering)
    print(f"pid {os.getpid()} trains on span {span}", file=sys.stderr, flush=True)
    time.sleep(steering.get("seconds", 0.5))
    for component in ("ColumnarExampleGen", "Trainer", "Pusher"):
        print(f"  ok {component}  0.1 s", file=sys.stderr, flush=True)
    code = int(steering.get("exit", 0))
    blessed = steering.get("blessed", code == 0)
    release = publish(asked.workload, span, steering) if code == 0 and blessed else None
    outcome = {
        "workload": asked.workload,
        "run_id": run_id,
        "span": span,
        "status": "failed" if code else "succeeded",
        "seconds": 0.5,
        "components": [
            {"id": node, "status": "succeeded", "seconds": 0.1, "cached": False, "rows_in": 1, "rows_out": 1}
            for node in ("Trainer", "Report")
        ],
        "metrics": {"overall": {"auc": 0.93 + span / 100}},
        "blessed": blessed,
        "reasons": steering.get("reasons", []),
        "release": release and {"version": release.version, "uri": release.uri},
        "reports": reports(asked.workload, run_id),
        "gates": gates(DATA_GATES, {}),
    }
    print(json.dumps(outcome))
    if not code:
        memo.parent.mkdir(parents=True, exist_ok=True)
        memo.write_text(json.dumps(outcome))
    return code


def predict(arguments: list[str]) -> int:
    """Predictions for a file; one whose text begins with `bad` is refused, with `crash` nothing comes of it once."""
    parser = argparse.ArgumentParser()
    parser.add_argument("command")
    parser.add_argument("workload")
    for option in ("--data", "--out", "--release", "--keys", "--format"):
        parser.add_argument(option)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args(arguments)
    text, out = Path(asked.data).read_text(), Path(asked.out)
    if text.startswith("bad"):
        print(json.dumps({"workload": asked.workload, "error": f"{asked.data}, line 1: no column fare"}))
        return 2
    crashed = out.parent / f".{out.name}.crashed"
    if text.startswith("crash") and not crashed.exists():
        crashed.parent.mkdir(parents=True, exist_ok=True)
        crashed.touch()
        os.kill(os.getpid(), 9)
    rows = len(text.splitlines())
    index = {"model": asked.workload, "version": 1, "rows": rows, "predicted": rows, "failed": 0, "pid": os.getpid()}
    aside = out.parent / f".{out.name}.new"
    aside.mkdir(parents=True)
    (aside / "index.json").write_text(json.dumps(index))
    aside.rename(out)
    print(json.dumps({"workload": asked.workload, "predictions": {**index, "folder": str(out)}}))
    return 0


def check(workload: str, run_id: str, span: int, until: list[str], steering: dict) -> int:
    """The gates on data."""
    code, reasons = int(steering.get("exit", 0)), steering.get("reasons", [])
    found = gates(until, steering) if steering.get("gate", "") is not None else []
    components = [{"id": "ColumnarExampleGen", "status": "succeeded" if found else "failed"}]
    components += [{"id": one["gate"], "status": "succeeded" if one["passes"] else "failed"} for one in found]
    code = code if not found or not all(one["passes"] for one in found) else 0
    outcome = {
        "workload": workload,
        "run_id": run_id,
        "span": span,
        "status": "failed" if code else "succeeded",
        "seconds": 0.1,
        "components": components,
        "reports": reports(workload, run_id),
        "error": "; ".join(reasons) if code else None,
        "gates": found,
    }
    print(json.dumps(outcome))
    return code


def gates(asked: Sequence[str], steering: dict) -> list[dict]:
    """What the gates on data say that were asked."""
    refuses = steering.get("gate", "DataQuality") if steering.get("exit") else None
    reasons = steering.get("reasons", [])
    return [
        {
            "gate": node,
            "passes": node != refuses,
            "summary": f"{node}: " + ("; ".join(reasons) if node == refuses else "1 checks passed"),
            "findings": [{"severity": "critical", "message": one} for one in reasons] if node == refuses else [],
            "report": None,
        }
        for node in DATA_GATES
        if node in asked
    ]


def reports(workload: str, run_id: str) -> dict[str, str]:
    """Two pages, written."""
    pages = {
        "run": home.runs_root(workload) / run_id / "report.html",
        "data_quality_page": home.home() / "reports" / workload / "validations" / run_id / "index.html",
    }
    for name, page in pages.items():
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(f"<!DOCTYPE html><title>{name}</title><h1>{name} of {run_id}</h1>")
    return {name: str(page) for name, page in pages.items()}


def publish(workload: str, span: int, steering: dict):
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder, "model")
        (model / "assets.extra").mkdir(parents=True)
        (model / "saved_model.pb").write_bytes(b"stand-in")
        (model / "variables").mkdir()
        (model / "variables" / "variables.index").write_bytes(b"")
        (model / "assets.extra" / "golden_requests.json").write_text(json.dumps({"instances": GOLDEN}))
        (model / "assets.extra" / "behaviour.json").write_text(json.dumps(steering.get("behaviour", {})))
        draft = ReleaseDraft(publication_key=f"span-{span}", task="binary", run_id="stand-in", pipeline=workload)
        return ModelStore(home.store_uri()).publish(workload, model, draft)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
