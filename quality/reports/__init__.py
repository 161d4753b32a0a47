"""The report site: static pages that a data team opens every morning, made from the history of data quality."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from components.report.site import page_url
    from quality.reports._site import Built, build, page_of

__all__ = ["Built", "build", "page_of", "page_url"]


def __getattr__(name: str) -> Any:
    # The CLI imports this package for every command; SQLAlchemy and the templates are for those that need them.
    if name == "page_url":
        from components.report.site import page_url

        return page_url
    if name in __all__:
        from quality.reports import _site

        return getattr(_site, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
