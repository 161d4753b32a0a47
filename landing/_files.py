"""Files that a path or a glob pattern names. A file of exactly that name comes first, before the name is read as a pattern.

A folder may be called `[raw]` or `a*b`. `*` and `?` match within one name, `[ab]` matches one of its characters, `**` folders at
any depth.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Mapping
from typing import Any

_MAGIC = "*?["


def is_pattern(text: str) -> bool:
    """Whether a name or path may be a pattern."""
    return any(character in text for character in _MAGIC)


def glob(filesystem: Any, path: str) -> dict[str, Mapping[str, Any]]:
    """What a path or a pattern names, with fsspec's facts about each, sorted by name; nothing where there is nothing.

    A link that leads nowhere is among them, so that whoever reads can say so.
    """
    base, rest = fixed_part(filesystem, path)
    if not rest:
        try:
            return {base: filesystem.info(base)}
        except (FileNotFoundError, NotADirectoryError):
            return {}
    return dict(sorted(_matching(filesystem, base, rest)))


def fixed_part(filesystem: Any, path: str) -> tuple[str, list[str]]:
    """The part of a path before its first pattern, and the names from there on."""
    parts = path.split("/")
    for at, part in enumerate(parts):
        if not is_pattern(part):
            continue
        exact = "/".join(parts[: at + 1])
        # The last name matches files: a file that is called `*` does not hide the others.
        if (at + 1 < len(parts) or "[" in part) and "**" not in part and filesystem.exists(exact):
            continue
        return "/".join(parts[:at]), parts[at:]
    return path, []


def is_dangling(filesystem: Any, name: str, info: Mapping[str, Any]) -> bool:
    """Whether a name is a link that leads nowhere."""
    return bool(info.get("islink")) and not filesystem.exists(name)


def _matching(filesystem: Any, base: str, rest: list[str]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    first, *after = rest
    if first == "**":
        if after:
            yield from _matching(filesystem, base, after)
        for name, info in _entries(filesystem, base):
            if not after:
                yield name, info
            if filesystem.isdir(name):
                yield from _matching(filesystem, name, rest)
        return
    for name, info in _entries(filesystem, base):
        last = name.rpartition("/")[2]
        if last != first and not fnmatch.fnmatchcase(last, first):
            continue
        if not after:
            yield name, info
        elif filesystem.isdir(name):
            yield from _matching(filesystem, name, after)


def _entries(filesystem: Any, folder: str) -> list[tuple[str, Mapping[str, Any]]]:
    try:
        listed = filesystem.ls(folder or "/", detail=True)
    except (FileNotFoundError, NotADirectoryError):
        return []
    found = {entry["name"].rstrip("/"): entry for entry in listed}
    found.pop(folder.rstrip("/"), None)  # object stores list a folder's own marker
    return sorted(found.items())
