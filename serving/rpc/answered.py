"""What every RPC that may be refused has in common: its id, and the code that it ends with."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Awaitable, Callable
from typing import NoReturn, TypeAlias, TypeVar

import grpc
import grpc.aio

from serving.errors import ServingError
from serving.inference.request_ids import HEADER, request_id

_ESCAPED = 3  # what gRPC makes of a byte that is not printable ASCII: %F0
_MOST_DETAILS_BYTES = 4096  # clients drop an answer whose metadata has more than 8 KiB, and with it the code
_log = logging.getLogger(__name__)
_Response = TypeVar("_Response")
Context: TypeAlias = grpc.aio.ServicerContext


async def refuse(context: Context, error: ServingError) -> NoReturn:
    """Ends an RPC with an error's code and its line, or as much of that as clients take."""
    line = str(error)
    ends = itertools.accumulate(1 if " " <= one <= "~" else _ESCAPED * len(one.encode()) for one in line)
    await context.abort(grpc.StatusCode[error.grpc_status], line[: sum(end <= _MOST_DETAILS_BYTES for end in ends)])
    raise AssertionError("context.abort raises")


async def answered(
    context: Context, what: str, answer: Callable[[str], Awaitable[_Response]], id_in_message: str = ""
) -> _Response:
    """The answer to a request, given its id; where there is none, the RPC ends with the error's code and its line.

    Args:
        what: is asked, for the log.
        id_in_message: counts where the metadata has no id.
    """
    asked = request_id(dict(context.invocation_metadata() or ()).get(HEADER) or id_in_message)
    context.set_trailing_metadata(((HEADER, asked),))
    try:
        return await answer(asked)
    except ServingError as error:
        await refuse(context, error)
    except Exception as error:
        _log.exception("%s failed", what)
        await context.abort(grpc.StatusCode.INTERNAL, f"the server failed: {type(error).__name__}. Its log says more.")
        raise AssertionError("context.abort raises") from None
