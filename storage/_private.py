"""Folders of this machine that are one user's alone, and that several of their processes use at once."""

from __future__ import annotations

import fcntl
import os
import pathlib
import shutil
import stat

from spec.errors import InputError


def private_folder(path: pathlib.Path) -> pathlib.Path:
    """A folder into which nobody else may look or write; made where there is none.

    Raises:
        InputError: it is somebody else's, is open to others, is a link, or cannot be made.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = path.lstat()
    except FileExistsError:
        found = path.lstat()
    except OSError as error:
        raise InputError(f"cannot be made: {error.strerror}. Name another folder.", file=path) from error
    mode = stat.S_IMODE(found.st_mode)
    if not stat.S_ISDIR(found.st_mode):
        kind = "a link" if stat.S_ISLNK(found.st_mode) else "no folder"
        raise InputError(f"must be a private folder, and is {kind}. Remove it, or name another folder.", file=path)
    if found.st_uid != os.geteuid():
        raise InputError(
            f"must be a private folder of user {os.geteuid()}, and belongs to user {found.st_uid}. Name another folder.",
            file=path,
        )
    if mode & 0o077:
        raise InputError(f"must be private, and others may use it (mode {mode:o}). Run: chmod 700 {path}", file=path)
    return path


class Hold:
    """Marks a folder as in use: until it is closed, or its process dies, `remove_unless_held` leaves the folder alone."""

    def __init__(self, handle: int) -> None:
        self._handle = handle

    def close(self) -> None:
        os.close(self._handle)


def hold(folder: pathlib.Path) -> Hold | None:
    """Holds a folder of a local disk; None if it is gone, or is being removed. Any number of processes may hold one."""
    if (handle := _locked(folder, fcntl.LOCK_SH)) is None:
        return None
    return Hold(handle)


def remove_unless_held(folder: pathlib.Path) -> bool:
    """Removes a folder that nobody holds; whether it did."""
    if (handle := _locked(folder, fcntl.LOCK_EX)) is None:
        return False
    try:
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(handle)
    return True


def _locked(folder: pathlib.Path, kind: int) -> int | None:
    """A handle of the folder, locked without waiting; None if another's lock is in the way, or the folder is gone."""
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(handle), folder.lstat()):  # else it was removed before it was locked
            return handle
    except (BlockingIOError, FileNotFoundError):
        pass
    except BaseException:
        os.close(handle)
        raise
    os.close(handle)
    return None
