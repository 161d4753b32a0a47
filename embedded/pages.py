"""Shows a home's reports in the browser: `python -m embedded.pages --port 8088`. Standard library only.

`/` is the data-quality site (`reports/`), `/runs/<workload>/<run>/report.html` the report of a run. Nothing else in the home is
shown, because it also contains keys and passwords.
"""

from __future__ import annotations

import argparse
import functools
import http.server
import io
import re
import sys
import urllib.parse
from http import HTTPStatus
from pathlib import Path
from typing import BinaryIO

from embedded.settings import HOST
from spec import home

_RUN = re.compile(r"runs/[^/]+/[^/]+/report\.html")
_NOTHING_YET = b"""\
<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>Trainyard: reports</title>
<body style="font: 16px sans-serif; margin: 3rem"><h1>No reports yet</h1><p>The first run of a pipeline makes them.</p></html>
"""


def page_of(folder: Path, url_path: str) -> Path | None:
    """The file that a URL shows; None if there is none."""
    path = urllib.parse.unquote(urllib.parse.urlsplit(url_path).path).lstrip("/")
    if "\0" in path:
        return None
    for root, relative in ((folder / "reports", path), (folder / "runs", path.removeprefix("runs/"))):
        if root.name == "runs" and not _RUN.fullmatch(path):
            continue
        file = (root / relative).resolve()
        if not file.is_relative_to(root.resolve()) or any(part.startswith(".") for part in Path(path).parts):
            continue
        file = file / "index.html" if file.is_dir() else file
        if file.is_file():
            return file
    return None


class _Handler(http.server.SimpleHTTPRequestHandler):
    def __init__(self, *arguments: object, home_folder: Path, **options: object) -> None:
        self._home = home_folder
        super().__init__(*arguments, **options)  # type: ignore[arg-type]

    def send_head(self) -> BinaryIO | None:  # type: ignore[override]
        file = page_of(self._home, self.path)
        if file is None and self.path == "/":
            return self._page(io.BytesIO(_NOTHING_YET), len(_NOTHING_YET), "text/html; charset=utf-8")
        if file is None:
            self.send_error(HTTPStatus.NOT_FOUND, "There is no such page")
            return None
        is_folder = not urllib.parse.urlsplit(self.path).path.endswith(("/", file.name))
        if is_folder and file.name == "index.html":  # relative links of the page need the slash
            self.send_response(HTTPStatus.MOVED_PERMANENTLY)
            self.send_header("Location", urllib.parse.urlsplit(self.path).path + "/")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return None
        return self._page(file.open("rb"), file.stat().st_size, self.guess_type(str(file)))

    def _page(self, content: BinaryIO, size: int, kind: str) -> BinaryIO:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(size))
        self.end_headers()
        return content

    def end_headers(self) -> None:
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        """Nobody reads an access log of their own clicks."""


def serve(folder: Path, port: int) -> None:
    """Shows a home's reports on the loopback until the process ends."""
    handler = functools.partial(_Handler, home_folder=folder)
    with http.server.ThreadingHTTPServer((HOST, port), handler) as server:
        server.serve_forever()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m embedded.pages")
    parser.add_argument("--port", type=int, required=True)
    serve(home.home(), parser.parse_args().port)
    return 0


if __name__ == "__main__":
    sys.exit(main())
