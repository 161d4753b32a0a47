"""The embedded Airflow's own history: the logs of its tasks, and the rows of its database.

Another Airflow's is its site's business: the Helm chart has jobs for both. Airflow's tasks must not reach its database, so the
deletion is Airflow's own command with the home's settings, as `trainyard airflow` has it.
"""

from __future__ import annotations

import dataclasses
import datetime
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from components.sizes import content_size
from embedded import airflow_cli
from embedded.settings import Paths
from pipelines.housekeeping import Item, Limits
from spec import home

_LOGS = ("dag_id=*/run_id=*", "dag_processor/[0-9]*", "scheduler/[0-9]*")
_FOUND = re.compile(r"^Found (\d+) rows meeting", re.MULTILINE)
_BATCH = 5000  # rows a transaction: a scheduler that waits for SQLite's lock is not to wait for long


@dataclasses.dataclass(frozen=True)
class Swept:
    """What was found, or deleted.

    Attributes:
        items: what is old.
        trouble: why the database was not looked at, if it was not; may be tried again.
    """

    items: list[Item]
    trouble: str = ""


def sweep(limits: Limits, delete: bool = False) -> Swept:
    """Finds the logs and rows that are older than the limits, and deletes them if asked to; a day at least stays."""
    logs = _sweep_logs(limits, delete)
    try:
        return Swept(logs + _sweep_rows(limits, delete))
    except _NotCleaned as error:
        return Swept(logs, str(error))


class _NotCleaned(RuntimeError):
    """Airflow's command did not do it."""


def _sweep_logs(limits: Limits, delete: bool) -> list[Item]:
    """The logs of tasks, and of the DAGs' reading."""
    logs = [Item("log", n, str(folder), content_size(str(folder))[1]) for n, folder in _old_logs(_since(limits))]
    if delete:
        for item in logs:
            shutil.rmtree(item.path, ignore_errors=True)
    return logs


def _sweep_rows(limits: Limits, delete: bool) -> list[Item]:
    """The rows of Airflow's database, as one thing."""
    paths = Paths(home.home())
    if not airflow_cli.has_database(paths):
        return []
    since = _since(limits).isoformat(timespec="seconds")
    arguments = ["db", "clean", "--clean-before-timestamp", since, "--skip-archive"]
    arguments += ["--yes", "--batch-size", str(_BATCH), "--error-on-cleanup-failure"] if delete else ["--dry-run"]
    done = airflow_cli.run(arguments)
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip() or "it printed nothing").splitlines()[-1]
        raise _NotCleaned(f"Airflow's database was not cleaned: {said[:300]}")
    rows = sum(int(number) for number in _FOUND.findall(done.stdout))
    return [Item("rows", f"{rows:,} rows of Airflow's database", str(paths.airflow), 0)] if rows else []


def _since(limits: Limits) -> datetime.datetime:
    return min(limits.since, datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1))


def _old_logs(since: datetime.datetime) -> Iterator[tuple[str, Path]]:
    root = Paths(home.home()).task_logs
    for pattern in _LOGS:
        for folder in sorted(root.glob(pattern)):
            if folder.is_symlink() or not folder.is_dir():  # `latest`
                continue
            newest = max((file.stat().st_mtime for file in folder.rglob("*") if file.is_file()), default=0.0)
            if newest < since.timestamp():
                yield str(folder.relative_to(root)), folder
