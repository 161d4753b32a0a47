"""A folder as a queue: an item is a file in it. Its holder holds a lock file, which the kernel frees when the holder dies."""

from __future__ import annotations

import collections
import contextlib
import json
import os
import pathlib
import time
from collections.abc import Iterator, Sequence

import storage
from landing import UNFINISHED_NAMES
from pipelines.queue.queues import WAIT_S, Delivery
from spec.errors import InputError

_SETTLED_S = 1.0
"""A file that was written since is left alone: whoever copies it may not be done."""


class FolderQueue:
    """The files of a folder on this machine, or on a volume on which locks work; oldest first.

    Items that are done go to `done/`, those set aside to `failed/`, each beside a `.reason.json`. `.claims/` has the lock files, whose
    content is how often an item was taken. Names that begin with `.` or `_`, or say that a file is being written, are no items.

    Raises:
        InputError: there is no such folder.
    """

    def __init__(self, root: pathlib.Path) -> None:
        if not root.is_dir():
            raise InputError(
                f"--queue {root}: there is no such folder. Make it; items are the files that are put there."
            )
        self.uri = str(root)
        self._root = root
        self._listed: collections.deque[str] = collections.deque()
        self._held: dict[str, contextlib.ExitStack] = {}

    def take(self, most: int) -> list[Delivery]:
        taken: list[Delivery] = []
        if not self._listed:
            self._listed.extend(self._waiting())
        while self._listed and len(taken) < most:
            name = self._listed.popleft()
            if taken and self._note(name).exists():  # tried before, or another's
                self._listed.appendleft(name)
                break
            if (delivery := self._claim(name)) is None:
                continue
            taken.append(delivery)
            if delivery.attempt > 1:
                break
        if not taken and not self._listed:
            time.sleep(WAIT_S / 4)
        return taken

    def keep(self, deliveries: Sequence[Delivery]) -> None:
        """Locks are held by the kernel."""

    def done(self, deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            self._move(delivery, "done")

    def set_aside(self, delivery: Delivery, reason: str) -> None:
        said = {"item": delivery.key, "reason": reason, "attempts": delivery.attempt}
        storage.write(f"{self._root}/failed/{delivery.key}.reason.json", json.dumps(said, indent=1).encode())
        self._move(delivery, "failed")

    def give_back(self, delivery: Delivery, tried: bool) -> None:
        if not tried:
            self._note(delivery.key).write_text(str(delivery.attempt - 1))
        self._held.pop(delivery.key).close()

    def is_empty(self) -> bool:
        return next(self._items(), None) is None

    def close(self) -> None:
        assert not self._held

    def _claim(self, name: str) -> Delivery | None:
        """Locks an item and counts the attempt; None where another has it, or it is gone."""
        path = self._root / name
        if not os.path.lexists(path):
            return None
        held = contextlib.ExitStack()
        try:
            note = held.enter_context(storage.exclusive(self._note(name), 0))
        except storage.Busy:
            return None
        if not os.path.lexists(path):  # its holder was done with it meanwhile
            self._note(name).unlink(missing_ok=True)
            held.close()
            return None
        note.seek(0)
        attempt = int(note.read() or 0) + 1
        note.truncate(0)
        note.write(str(attempt))
        note.flush()
        self._held[name] = held
        return Delivery(name, attempt, file=path)

    def _move(self, delivery: Delivery, folder: str) -> None:
        target = self._root / folder / delivery.key
        target.parent.mkdir(exist_ok=True)
        with contextlib.suppress(FileNotFoundError):  # somebody has removed it meanwhile
            (self._root / delivery.key).replace(target)
        self._note(delivery.key).unlink(missing_ok=True)
        self._held.pop(delivery.key).close()

    def _note(self, name: str) -> pathlib.Path:
        return self._root / ".claims" / name

    def _waiting(self) -> list[str]:
        """Names of the items that are whole, by age."""
        now, found = time.time(), []
        for entry in self._items():
            with contextlib.suppress(FileNotFoundError):
                changed = entry.stat(follow_symlinks=False).st_mtime
                if not 0 <= now - changed < _SETTLED_S:
                    found.append((changed, entry.name))
        return [name for _, name in sorted(found)]

    def _items(self) -> Iterator[os.DirEntry[str]]:
        with os.scandir(self._root) as entries:
            for entry in entries:
                named = not entry.name.startswith((".", "_")) and not entry.name.endswith(UNFINISHED_NAMES)
                # A link is an item, too: one that is set aside, since it may lead to any file of this machine.
                if named and (entry.is_symlink() or entry.is_file()):
                    yield entry
