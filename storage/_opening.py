from __future__ import annotations

import pathlib

from spec.errors import InputError
from storage._clients import is_remote
from storage._files import Files
from storage._local import LocalFolder
from storage._object_store import ObjectStore


def open_files(uri: str) -> Files:
    """The files below a folder or URL.

    Raises:
        InputError: nothing installed can read such a URL.
    """
    if not is_remote(uri):
        return LocalFolder(pathlib.Path(uri.removeprefix("file://")).expanduser().absolute())
    try:
        return ObjectStore(uri)
    except ImportError as error:
        raise InputError(f"{uri}: {error}") from None
    except ValueError as error:
        raise InputError(f"{uri}: {error}. Use a folder or a URL such as s3://bucket/models.") from None
