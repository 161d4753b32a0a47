"""Rows whose images are URLs, with the images in their place."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from serving.codec.signature import TensorInfo
from serving.codec.tensors import show
from serving.errors import BadRequestError, NotReadyError
from serving.images._reading import read
from serving.images.urls import insist_on_allowed

_AT_ONCE = 8
_MOST_URLS = 64
_SECONDS = 10.0


class Images:
    """Fetches what `{"url": "..."}` names.

    Args:
        prefixes: URLs that may be fetched begin with one of these; none: nothing is fetched.
        max_bytes: the images of a request have at most so many together.
    """

    def __init__(self, prefixes: Sequence[str], max_bytes: int) -> None:
        self._prefixes = tuple(prefixes)
        self._max_bytes = max_bytes
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="images")

    async def in_place(self, instances: list[Any], inputs: Mapping[str, TensorInfo]) -> list[Any]:
        """Rows with the bytes of images where they had URLs; the rows themselves where they had none.

        Raises:
            BadRequestError: a URL may not be fetched, there is nothing, or too much.
            NotReadyError: an image cannot be had at the moment.
        """
        if not any(info.is_string for info in inputs.values()):
            return instances
        found = list(_urls(instances, only_input=len(inputs) == 1 and "url" not in inputs))
        if not found:
            return instances
        if len(found) > _MOST_URLS:
            raise BadRequestError(f"a request has at most {_MOST_URLS} URLs of images. Received: {len(found)}")
        for row, name, url in found:
            insist_on_allowed(url, self._prefixes, f"instances[{row}]{name and '.' + name}")
        contents = await self._fetched([url for _, _, url in found])
        rows = [dict(row) if isinstance(row, dict) else row for row in instances]
        for (row, name, _), content in zip(found, contents, strict=True):
            if name:
                rows[row][name] = content
            else:
                rows[row] = content
        return rows

    async def _fetched(self, urls: Sequence[str]) -> list[bytes]:
        loop = asyncio.get_running_loop()
        reading = [
            loop.run_in_executor(self._threads, functools.partial(read, url, self._max_bytes, _SECONDS)) for url in urls
        ]
        try:
            async with asyncio.timeout(_SECONDS):
                contents = await asyncio.gather(*reading)
        except TimeoutError:
            raise NotReadyError(f"the images were not all there within {_SECONDS:.0f} s; try again") from None
        if (size := sum(map(len, contents))) > self._max_bytes:
            raise BadRequestError(
                f"the images of a request may have {self._max_bytes:,} bytes together (--max-request-mb). Received: {size:,}"
            )
        return contents


def _urls(instances: list[Any], only_input: bool) -> Iterator[tuple[int, str, str]]:
    """(row, column, URL) of each; the column is empty where a row is no more than its image."""
    for row, instance in enumerate(instances):
        if type(instance) is not dict:
            continue
        if only_input and instance.keys() == {"url"}:
            yield row, "", _text(instance["url"], row)
            continue
        for name, value in instance.items():
            if type(value) is dict and value.keys() == {"url"}:
                yield row, name, _text(value["url"], row)


def _text(url: Any, row: int) -> str:
    if not isinstance(url, str):
        raise BadRequestError(f"instances[{row}]: a URL is a string. Received: {show(url)}")
    return url
