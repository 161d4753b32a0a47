"""Which signed labels were seen, so that earlier ones are not followed again."""

from __future__ import annotations

import json
import os
import pathlib

from model_store._errors import StoreError
from storage import LocalFolder

_FILE, _LOCK = "labels-seen.json", ".labels-seen.lock"


class Memory:
    """The highest counter seen of each labels.json, in this process and, with a folder, in those that had the folder before.

    Args:
        folder: one that only we may write to; None: nothing outlives the process.
    """

    def __init__(self, folder: str | os.PathLike[str] | None = None) -> None:
        self._files = None if folder is None else LocalFolder(pathlib.Path(folder).expanduser().absolute())
        self._seen: dict[str, int] = {}

    def highest(self, uri: str, counter: int) -> int:
        """The highest counter of a labels.json, this one included.

        Raises:
            StoreError: the folder cannot be read or written.
        """
        if counter > self._seen.get(uri, 0):
            self._seen[uri] = counter if self._files is None else self._noted(self._files, uri, counter)
        return self._seen[uri]

    def _noted(self, files: LocalFolder, uri: str, counter: int) -> int:
        try:
            with files.lock(_LOCK):
                seen = json.loads(files.read(_FILE)) if files.exists(_FILE) else {}
                if seen.get(uri, 0) < counter:
                    files.write(_FILE, json.dumps(seen | {uri: counter}, sort_keys=True).encode() + b"\n")
                return max(int(seen.get(uri, 0)), counter)
        except (OSError, ValueError, AttributeError, TypeError) as error:
            raise StoreError(
                f"{files.uri}/{_FILE}: which labels were seen cannot be kept ({error}). Mend the folder's rights; if the file is "
                "damaged, remove it once the labels are known to be the newest."
            ) from error
