"""Errors that a caller sees: an HTTP status, a gRPC status, and one line that says how to correct the request."""

from __future__ import annotations

import math
from typing import ClassVar

from spec.words import one_line

MOST_CHARACTERS = 1000  # what a caller sent may stand in a message


class ServingError(Exception):
    """What is wrong with a request, or with the server at the moment, in one line.

    Attributes:
        http_status: of the REST answer.
        grpc_status: name of the code of the gRPC answer.
        retry_after: seconds after which the same request may succeed; None: it never will.
    """

    http_status: ClassVar[int] = 500
    grpc_status: ClassVar[str] = "INTERNAL"
    retry_after: int | None = None

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message, MOST_CHARACTERS))


class BadRequestError(ServingError):
    """The request does not fit the signature; the caller has to correct it."""

    http_status = 400
    grpc_status = "INVALID_ARGUMENT"


class UnauthenticatedError(ServingError):
    """The request carries no API key that this server knows."""

    http_status = 401
    grpc_status = "UNAUTHENTICATED"


class NotFoundError(ServingError):
    """No such model, version or label is served here."""

    http_status = 404
    grpc_status = "NOT_FOUND"


class UnsupportedError(ServingError):
    """There is no such method."""

    http_status = 501
    grpc_status = "UNIMPLEMENTED"


class TooLargeError(ServingError):
    """The body is larger than the server accepts."""

    http_status = 413
    grpc_status = "RESOURCE_EXHAUSTED"


class NotReadyError(ServingError):
    """The model is known but not loaded (yet), or the server is stopping."""

    http_status = 503
    grpc_status = "UNAVAILABLE"
    retry_after = 1


class BusyError(ServingError):
    """The server is already working on as many requests as it accepts at once."""

    http_status = 429
    grpc_status = "RESOURCE_EXHAUSTED"
    retry_after = 1


class LimitedError(ServingError):
    """The API key has used up its limit for the moment.

    Args:
        seconds: until it may ask again.
    """

    http_status = 429
    grpc_status = "RESOURCE_EXHAUSTED"

    def __init__(self, message: str, seconds: float) -> None:
        super().__init__(message)
        self.seconds = seconds
        self.retry_after = math.ceil(seconds)
