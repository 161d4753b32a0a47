"""Answers as JSON, errors included."""

from __future__ import annotations

from typing import Any

import orjson
from starlette.responses import Response

from serving.errors import MOST_CHARACTERS, ServingError
from spec.words import one_line


def json_response(document: Any, status: int = 200) -> Response:
    """A document for people to read as well."""
    return Response(orjson.dumps(document, option=orjson.OPT_INDENT_2), status, media_type="application/json")


def error_response(status: int, message: str, retry_after: int | None = None) -> Response:
    """`{"error": message}`, as TF Serving and the Open Inference Protocol say it, on one line; what was asked may stand in it."""
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return Response(orjson.dumps({"error": one_line(message, MOST_CHARACTERS)}), status, headers, "application/json")


def refusal(error: ServingError) -> Response:
    return error_response(error.http_status, str(error), error.retry_after)
