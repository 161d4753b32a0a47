"""Where a page of the site lies. These are URLs that people keep: do not change them."""

from __future__ import annotations

import functools
import hashlib
import os
import re

SITE = "TRAINYARD_REPORTS_URL"
"""Environment variable: where people open the site, e.g. https://reports.example.com/quality."""
INDEX = "index.html"
STYLE = "style.css"


def workload(name: str) -> str:
    return f"{slug(name)}/{INDEX}"


def validation(workload_name: str, validation_id: str) -> str:
    # An id is made by us; only one that could leave its folder is changed.
    safe = re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,99}", validation_id)
    return f"{slug(workload_name)}/validations/{validation_id if safe else slug(validation_id)}/{INDEX}"


def page_url(workload_name: str, validation_id: str) -> str:
    """Where people open the page of a validation; empty where TRAINYARD_REPORTS_URL names no site.

    The rule, for other tools: `<site>/<workload>/validations/<validation id>/index.html`. The id of a training run's
    validation is the run's. A name with other characters than a-z, 0-9, _ . - is changed as `slug` says.
    """
    site = os.environ.get(SITE, "").rstrip("/")
    return f"{site}/{validation(workload_name, validation_id)}" if site.startswith(("http://", "https://")) else ""


def span(workload_name: str, number: int) -> str:
    """Always leads to the newest validation of a span."""
    return f"{slug(workload_name)}/spans/{number}.html"


def column(workload_name: str, name: str) -> str:
    return f"{slug(workload_name)}/columns/{slug(name)}.html"


def slug(name: str) -> str:
    """A name as one part of a path; a hash keeps names apart that would become the same, upper and lower case too."""
    plain = re.sub(r"[^a-z0-9_.-]+", "-", name.lower()).strip("-.")[:80]
    if plain == name:
        return plain
    return f"{plain}-{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}".lstrip("-")


@functools.lru_cache(4096)
def relative(to: str, page: str) -> str:
    """A link from a page of the site to another: it works from a disk, a bucket and a server alike."""
    return os.path.relpath(to, os.path.dirname(page) or ".")  # noqa: PTH120 URLs, not files
