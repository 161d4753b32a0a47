"""The report site: static pages that a data team opens every morning, made from the history of data quality."""

from quality.reports._server import serve
from quality.reports._site import Built, build, page_of

__all__ = ["Built", "build", "page_of", "serve"]
