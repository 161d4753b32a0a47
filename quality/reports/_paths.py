"""Where the site's pages lie, and links between them."""

from __future__ import annotations

import functools
import os

from components.report.site import INDEX, slug, span, validation

__all__ = ["INDEX", "STYLE", "column", "relative", "slug", "span", "validation", "workload"]

STYLE = "style.css"


def workload(name: str) -> str:
    return f"{slug(name)}/{INDEX}"


def column(workload_name: str, name: str) -> str:
    return f"{slug(workload_name)}/columns/{slug(name)}.html"


@functools.lru_cache(4096)
def relative(to: str, page: str) -> str:
    """A relative link from one page to another, which works from a disk, a bucket or a server."""
    return os.path.relpath(to, os.path.dirname(page) or ".")  # noqa: PTH120 URLs, not files
