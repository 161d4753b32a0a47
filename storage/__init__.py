"""Files in local folders and object stores, behind one small abstraction.

`open_files` gives the files below a folder or URL: listed, read, written in one step, written only while they are what was read
(compare and swap), and locked. `upload` and `download` move whole folders with a completion marker. Object
stores are reached through fsspec, here and nowhere else; what one of its clients cannot do is said by an error.

Example:
    >>> import tempfile
    >>> files = open_files(tempfile.mkdtemp())
    >>> first = files.swap("labels.json", b"{}", None)
    >>> second = files.swap("labels.json", b'{"stable": 1}', first)
    >>> try:
    ...     files.swap("labels.json", b'{"stable": 2}', first)
    ... except Conflict:
    ...     print(files.read("labels.json").decode())
    {"stable": 1}
"""

from storage._artifacts import (
    MARKER,
    Incomplete,
    discard,
    download,
    download_unmarked,
    is_whole,
    probe,
    read,
    read_if_there,
    remove,
    upload,
    write,
)
from storage._clients import filesystem, is_on_disk, is_remote, open_file, stamp
from storage._errors import Busy, Conflict, LeaseLost, NoConditionalWrites, as_refused, store_trouble
from storage._files import Files, StillHeld
from storage._local import LocalFolder, exclusive
from storage._object_store import ObjectStore
from storage._opening import open_files
from storage._private import Hold, hold, private_folder, remove_unless_held
from storage._retrying import patiently, retrying

__all__ = [
    "MARKER",
    "Busy",
    "Conflict",
    "Files",
    "Hold",
    "Incomplete",
    "LeaseLost",
    "LocalFolder",
    "NoConditionalWrites",
    "ObjectStore",
    "StillHeld",
    "as_refused",
    "discard",
    "download",
    "download_unmarked",
    "exclusive",
    "filesystem",
    "hold",
    "is_on_disk",
    "is_remote",
    "is_whole",
    "open_file",
    "open_files",
    "patiently",
    "private_folder",
    "probe",
    "read",
    "read_if_there",
    "remove",
    "remove_unless_held",
    "retrying",
    "stamp",
    "store_trouble",
    "upload",
    "write",
]
