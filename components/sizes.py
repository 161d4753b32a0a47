"""How much lies in a folder; apart from TFX, so that the question costs no import."""

from __future__ import annotations

import os


def content_size(uri: str) -> tuple[int, int]:
    """Files and bytes below a folder. A cached artifact counts only while both are what they were."""
    files = size = 0
    for folder, _, names in os.walk(uri):
        files += len(names)
        # os.path, not pathlib: this walks every artifact before every run, and pathlib takes three times as long.
        size += sum(os.path.getsize(os.path.join(folder, name)) for name in names)  # noqa: PTH118, PTH202
    return files, size
