"""Sends TFX's and TensorFlow's messages to a log file; the terminal is for people."""

from __future__ import annotations

import contextlib
import logging
import os
import pathlib
import sys
import traceback
import warnings
from collections.abc import Iterator
from typing import TextIO


@contextlib.contextmanager
def to_log(path: pathlib.Path) -> Iterator[tuple[TextIO, TextIO]]:
    """Sends file descriptors 1 and 2 to a file, C++ libraries and child processes included.

    Yields:
        The real stdout and stderr.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    saved = os.dup(1), os.dup(2)
    # C++ and child processes write to the same file at their own pace: O_APPEND keeps the lines whole.
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    # Same encoding and error handling as the streams that people see.
    out, err = (
        os.fdopen(number, "w", encoding=stream.encoding, errors=stream.errors)
        for number, stream in zip(saved, (sys.stdout, sys.stderr), strict=True)
    )
    try:
        _quieten()
        yield out, err
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError):  # a full disk must not keep the result from being shown
                stream.flush()
        out.flush()
        err.flush()
        os.dup2(out.fileno(), 1)
        os.dup2(err.fileno(), 2)


def trace(error: BaseException) -> None:
    """Writes an exception's traceback into the log, unbuffered, if the disk has room."""
    with contextlib.suppress(OSError):
        os.write(2, "".join(traceback.format_exception(error)).encode(errors="replace"))


def _quieten() -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    warnings.simplefilter("ignore", DeprecationWarning)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
