"""Reading one image, bounded in bytes and time."""

from __future__ import annotations

import http.client
import ssl
import time
from urllib.parse import urlsplit

import storage
from serving.errors import BadRequestError, NotReadyError

_CHUNK = 64 * 1024
_HEADERS = {"Accept": "image/*", "Accept-Encoding": "identity", "User-Agent": "trainyard"}


def read(url: str, most: int, seconds: float) -> bytes:
    """The bytes of a URL that is allowed; a redirect is not followed, wherever it leads.

    Raises:
        BadRequestError: there is no such image, or it has more than `most` bytes.
        NotReadyError: it cannot be had at the moment, or not within `seconds`.
    """
    try:
        content = _over_https(url, most, seconds) if url.startswith("https://") else _from_store(url, most)
    except FileNotFoundError:
        raise BadRequestError(f"there is no image at {url}.") from None
    except PermissionError:
        raise BadRequestError(f"the server may not read {url}.") from None
    except (OSError, http.client.HTTPException) as error:
        raise NotReadyError(f"{url} cannot be read at the moment: {error or type(error).__name__}") from None
    if len(content) > most:
        raise BadRequestError(f"{url}: has more than {most:,} bytes, which the images of a request may have together.")
    return content


def _from_store(url: str, most: int) -> bytes:
    with storage.open_file(url) as file:
        return file.read(most + 1)


def _over_https(url: str, most: int, seconds: float) -> bytes:
    parts = urlsplit(url)
    end = time.monotonic() + seconds
    connection = http.client.HTTPSConnection(parts.netloc, timeout=seconds, context=ssl.create_default_context())
    try:
        connection.request("GET", parts.path, headers=_HEADERS)
        response = connection.getresponse()
        if response.status != http.HTTPStatus.OK:
            raise BadRequestError(f"{url} answers {response.status}; redirects are not followed.")
        content = b""
        while len(content) <= most and (chunk := response.read1(_CHUNK)):
            content += chunk
            if time.monotonic() > end:
                raise TimeoutError(f"not whole within {seconds:g} s")
        return content
    finally:
        connection.close()
