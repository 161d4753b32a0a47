"""Where the pages of data quality lie, for whoever links to them. These are URLs that people keep: do not change them.

The rule, for other tools: `<site>/<workload>/validations/<validation id>/index.html`, where the id of a training run's validation is
the run's, and `<site>/<workload>/spans/<n>.html`, which leads to the newest validation of a span. A name with other characters than
a-z, 0-9, _ . - is changed as `slug` says. The site is what TRAINYARD_REPORTS_URL names.
"""

from __future__ import annotations

import hashlib
import os
import re

from spec import environment as env

INDEX = "index.html"


def validation(workload: str, validation_id: str) -> str:
    # An id is made by us; only one that could leave its folder is changed.
    safe = re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,99}", validation_id)
    return f"{slug(workload)}/validations/{validation_id if safe else slug(validation_id)}/{INDEX}"


def span(workload: str, number: int) -> str:
    """Always leads to the newest validation of a span."""
    return f"{slug(workload)}/spans/{number}.html"


def page_url(workload: str, validation_id: str) -> str:
    """Where people open the page of a validation; empty where TRAINYARD_REPORTS_URL names no site."""
    return _url(validation(workload, validation_id))


def span_url(workload: str, number: int) -> str:
    """Where people open what is newest about a span; empty where TRAINYARD_REPORTS_URL names no site."""
    return _url(span(workload, number))


def slug(name: str) -> str:
    """A name as one part of a path; a hash keeps names apart that would become the same, upper and lower case too."""
    plain = re.sub(r"[^a-z0-9_.-]+", "-", name.lower()).strip("-.")[:80]
    if plain == name:
        return plain
    return f"{plain}-{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}".lstrip("-")


def _url(page: str) -> str:
    site = os.environ.get(env.REPORTS_URL, "").rstrip("/")
    return f"{site}/{page}" if site.startswith(("http://", "https://")) else ""
