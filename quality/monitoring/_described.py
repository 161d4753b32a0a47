"""What a release says of itself: its task, classes and threshold, without its weights."""

from __future__ import annotations

import pathlib
import tempfile

import storage
from components.served_model import SPEC_FILE, ServedModel
from model_store import Release
from spec.errors import InputError


def described(release: Release) -> ServedModel:
    """The description of a release's model.

    Raises:
        InputError: it has none.
    """
    uri = f"{release.uri}/{SPEC_FILE.as_posix()}"
    if (content := storage.read_if_there(uri)) is None:
        raise InputError(f"{uri}: there is no such file. Only releases that Trainyard made can be judged.")
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, SPEC_FILE)
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
        return ServedModel.read(pathlib.Path(folder))
