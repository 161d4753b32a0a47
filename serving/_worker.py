"""`python -m serving._worker HOW ARGUMENTS...`: one of several processes that answer at the same ports; the supervisor starts it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import pathlib
import signal
import socket
import sys
import threading
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from model_store import Label, StoreError
from serving._announcing import CannotServeError
from serving._options import parse_options
from serving._tensorflow import set_up_tensorflow
from serving.http.connections import QuickHandshakes
from serving.models.source import Source
from serving.workers.messages import Report, Staged, StagedModel
from spec import exit_codes
from spec.errors import InputError

if TYPE_CHECKING:
    from serving.metrics import Metrics
    from serving.models.manager import ModelManager

_POLL_SECONDS = 0.1
_REPORT_SECONDS = 1.0


def main(arguments: Sequence[str]) -> int:
    """Serves until SIGTERM, or until the supervisor is gone; returns the exit code."""
    how, rest = json.loads(arguments[0]), arguments[1:]
    options = parse_options(rest)
    logging.basicConfig(
        level=logging.INFO,
        format=f"%(asctime)s %(levelname)s worker {how['number']}: %(message)s",
        stream=sys.stderr,
        force=True,
    )
    told, reports = _take_over_pipes(how["output"])
    set_up_tensorflow(options)

    from serving._server import serve

    listener = socket.socket(fileno=how["rest"])
    try:
        with asyncio.Runner(loop_factory=lambda: QuickHandshakes(options.silence_seconds)) as runner:
            runner.run(
                serve(options, listener, Worker(told, reports, how["grpc"], how["first"], pathlib.Path(how["shared"])))
            )
    except (CannotServeError, InputError, StoreError) as error:
        logging.getLogger("serving").error("%s", error)
        return exit_codes.FIX_INPUT
    return exit_codes.OK


class StagedSource:
    """What the supervisor has told last: labels, and folders of releases that it has verified."""

    uri = ""

    def __init__(self) -> None:
        self._staged = Staged("")
        self._known = threading.Event()

    def tell(self, staged: Staged) -> None:
        self.uri = staged.uri
        self._staged = staged
        self._known.set()

    def wait(self) -> None:
        """Until there is something to follow."""
        self._known.wait()

    def exists(self) -> bool:
        return self._staged.exists

    def labelled(self) -> list[str]:
        return list(self._staged.models)

    def labels(self, model: str) -> Mapping[str, Label]:
        found = self._model(model)
        if found.problem:
            raise StoreError(found.problem)
        return found.labels

    def versions(self, model: str) -> list[int]:
        return list(self._model(model).versions)

    def ahead(self, model: str) -> Collection[int]:
        return self._model(model).ahead

    def take(self, model: str, version: int) -> pathlib.Path:
        found = self._model(model)
        if version not in found.folders:
            raise StoreError(found.refused.get(version, f"{model} version {version} is not staged any more."))
        return pathlib.Path(found.folders[version])

    def keep(self, wanted: Collection[tuple[str, int]]) -> None:
        """The copies are the supervisor's."""

    def _model(self, name: str) -> StagedModel:
        return self._staged.models.get(name, StagedModel())


class Worker:
    """One of several servers at the same ports.

    Args:
        told: where the supervisor's lines come from.
        reports: descriptor that its own go to.
        first: whether it is started with the server, when there is nobody yet who could answer in its place.
        shared: the folder that all workers share.
    """

    poll_seconds = _POLL_SECONDS

    def __init__(self, told: int, reports: int, grpc_port: int, first: bool, shared: pathlib.Path) -> None:
        self.shared: pathlib.Path | None = shared
        self._staged = StagedSource()
        self.source: Source = self._staged
        self.grpc_port, self.begins_at_once = grpc_port, first
        self._told, self._reports = told, reports
        self._began = False
        threading.Thread(target=self._listen, name="supervisor", daemon=True).start()
        self._staged.wait()

    def began(self, manager: ModelManager, rest_port: int, grpc_port: int) -> None:
        self._began = True

    async def accompany(self, manager: ModelManager, metrics: Metrics) -> None:
        """Reports what is new at once, and that it is alive every second."""
        last, said_at = Report(), 0.0
        clock = asyncio.get_running_loop().time
        while True:
            report = Report(manager.tried(), self._began, manager.why_not(), sorted(manager.models()))
            if report != last or clock() - said_at > _REPORT_SECONDS:
                metrics.flush()
                # Aside: a supervisor that hangs reads nothing, and holds up nobody.
                await asyncio.to_thread(os.write, self._reports, report.to_line())
                last, said_at = report, clock()
            await asyncio.sleep(_POLL_SECONDS)

    def ended(self) -> None:
        return

    def _listen(self) -> None:
        with open(self._told, "rb", closefd=False) as lines:
            for line in lines:
                self._staged.tell(Staged.from_line(line))
        # The supervisor is gone: whoever started it knows, and nobody would look after this process any more.
        with contextlib.suppress(ProcessLookupError):
            os.kill(os.getpid(), signal.SIGTERM)
        self._staged.tell(Staged(""))


def _take_over_pipes(output: int) -> tuple[int, int]:
    """The pipes from and to the supervisor; standard input is nobody's from now on, and standard output the supervisor's own."""
    told, reports = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(output, 1)
    os.close(output)
    os.close(nothing)
    return told, reports


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
