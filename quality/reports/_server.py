"""Serves the site on this machine. For other people, let a web server serve the folder: it is static."""

from __future__ import annotations

import functools
import http.server
import pathlib

from spec import exit_codes
from spec.errors import InputError


class _Handler(http.server.SimpleHTTPRequestHandler):
    def end_headers(self) -> None:
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        """No access log."""


def serve(folder: pathlib.Path, port: int) -> int:
    """Serves a folder on 127.0.0.1 until Ctrl-C; port 0: a free one.

    Raises:
        InputError: the port is taken.
    """
    handler = functools.partial(_Handler, directory=str(folder))
    try:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", port), handler)
    except (OSError, OverflowError) as error:
        raise InputError(
            f"port {port} cannot be used ({error}). Choose another with --port, or none for a free one."
        ) from None
    print(f"http://127.0.0.1:{server.server_address[1]}/ until Ctrl-C", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        return exit_codes.OK
    finally:
        server.server_close()
    return exit_codes.OK
