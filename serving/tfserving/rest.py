"""TF Serving's REST API, and what platforms need: /healthz, /livez, /metrics."""

from __future__ import annotations

import asyncio
import logging
import re
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from serving.codec.decoding import decode_predict, hint_at_base64, parse_json
from serving.codec.encoding import encode_classify, encode_predict, encode_regress
from serving.codec.examples import decode_examples
from serving.codec.forms import decode_form, is_form, parse_form, signature_name
from serving.errors import BadRequestError, BusyError, NotFoundError, ServingError, TooLargeError
from serving.inference.inference import Call, Inference
from serving.inference.inference import Request as Asked
from serving.inference.request_ids import HEADER, request_id
from serving.metrics import CONTENT_TYPE
from serving.models.servable import CLASSIFY, REGRESS
from serving.tfserving._status import metadata_response, status_response, to_json

_log = logging.getLogger(__name__)

_TARGET = re.compile(
    r"/v1/models/(?P<model>[^/:]+)(?:/versions/(?P<version>[^/:]+)|/labels/(?P<label>[^/:]+))?"
    r"(?::(?P<method>predict|classify|regress)|(?P<metadata>/metadata))?"
)
_BODY_SECONDS = 60.0
_BODIES_AT_ONCE = 16
"""As many of the largest size may arrive at a time, or more that are smaller: requests have no place yet, but take memory."""
PREDICT = "predict"


class RestApi:
    """The HTTP application.

    Args:
        threads: run decoding, TensorFlow and encoding, so that the event loop only moves bytes.
        max_bytes: the largest accepted body.
        silence: how long a body may break off, in seconds.
    """

    def __init__(self, inference: Inference, threads: ThreadPoolExecutor, max_bytes: int, silence: float) -> None:
        self._inference = inference
        self._threads = threads
        self._max_bytes = max_bytes
        self._silence = silence
        self._arriving = 0
        self.app = Starlette(
            routes=[
                Route("/healthz", self._healthz),
                Route("/livez", self._livez),
                Route("/metrics", self._prometheus),
                Route("/monitoring/prometheus/metrics", self._prometheus),  # TF Serving's default
                Route("/v1/models", self._list),
                Route("/v1/models/{rest:path}", self._models, methods=["GET", "HEAD", "POST"]),
            ],
            exception_handlers={404: _not_found, 405: _not_allowed, 500: _broken},
        )
        self.app.router.redirect_slashes = False  # to wherever the caller's Host header says

    async def _models(self, request: Request) -> Response:
        asked = request_id(request.headers.get(HEADER))
        try:
            response = await self._answered(request, asked)
        except ServingError as error:
            response = _error(error.http_status, str(error), error.retry_after)
        response.headers[HEADER] = asked
        return response

    async def _answered(self, request: Request, request_id: str) -> Response:
        match = _TARGET.fullmatch(request.url.path)
        if match is None:
            raise NotFoundError(
                f"malformed path {request.url.path}. Expected /v1/models/<model>[/versions/<n>|/labels/<label>]"
                "[:predict|:classify|:regress|/metadata]"
            )
        version = _version(match["version"])
        if match["method"]:
            return await self._infer(
                request, Asked(request_id, "rest", match["method"], match["model"], version, match["label"])
            )
        if request.method not in ("GET", "HEAD"):
            return _error(405, f"{request.url.path} is asked with GET. Did you mean {request.url.path}:predict?")
        return self._describe(match, version)

    async def _infer(self, request: Request, asked: Asked) -> Response:
        method = asked.method
        if request.method != "POST":
            return _error(405, f":{method} is asked with POST and a JSON body.")
        form = content_type if is_form(content_type := request.headers.get("content-type", "")) else ""
        if form and method != PREDICT:
            raise BadRequestError(f":{method} takes a JSON body; only :{PREDICT} takes a form.")
        self._inference.accept()
        try:
            body = await self._body(request)
        except ClientDisconnect:
            return _error(400, "the client disconnected before the body was complete.")
        self._inference.admit()
        try:
            if encoding := request.headers.get("content-encoding", "").strip().lower():
                body = await asyncio.get_running_loop().run_in_executor(self._threads, self._unpacked, body, encoding)
            run = asyncio.get_running_loop().run_in_executor(self._threads, self._answer, asked, body, form)
            return Response(await run, media_type="application/json")
        finally:
            self._inference.leave()

    async def _body(self, request: Request) -> bytes:
        declared = request.headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > self._max_bytes:
            raise self._too_large(f"{declared} bytes")
        chunks, size, clock = [], 0, asyncio.get_running_loop()
        end = clock.time() + _BODY_SECONDS
        try:
            async with asyncio.timeout(self._silence) as limit:
                async for chunk in request.stream():
                    limit.reschedule(min(end, clock.time() + self._silence))
                    chunks.append(chunk)
                    size += len(chunk)
                    self._arriving += len(chunk)
                    if size > self._max_bytes:
                        raise self._too_large(f"more than {self._max_bytes} bytes")
                    if self._arriving > self._max_bytes * _BODIES_AT_ONCE:
                        self._inference.metrics.rejected.labels("busy").inc()
                        raise BusyError("too many large bodies arrive at once; try again")
        except TimeoutError:
            raise BadRequestError(
                f"the body broke off for {self._silence:g} s (--silence-seconds), or was not whole within {_BODY_SECONDS:.0f} s."
            ) from None
        finally:
            self._arriving -= size
        return b"".join(chunks)

    def _unpacked(self, body: bytes, encoding: str) -> bytes:
        """A compressed body as it was before; it may have no more bytes than one that is not compressed."""
        if encoding == "identity":
            return body
        if encoding not in ("gzip", "x-gzip"):
            raise BadRequestError(f"Content-Encoding: gzip is known, or none. Received: {encoding!r}")
        unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        try:
            found = unpacker.decompress(body, self._max_bytes + 1)
        except zlib.error as error:
            raise BadRequestError(f"the body is not valid gzip: {error}.") from None
        if len(found) > self._max_bytes:
            raise self._too_large(f"more than {self._max_bytes} bytes, unpacked")
        if not unpacker.eof:
            raise BadRequestError("the body is not valid gzip: it breaks off.")
        return found

    def _too_large(self, received: str) -> TooLargeError:
        self._inference.metrics.rejected.labels("too large").inc()
        return TooLargeError(
            f"the body may have {self._max_bytes} bytes (--max-request-mb). Received: {received}. "
            "Send fewer instances at once."
        )

    def _answer(self, asked: Asked, body: bytes, form: str) -> bytes:
        """Runs in a worker thread, from bytes to bytes; `form` is the content type of a form, else empty."""
        if form:
            return self._inference.answer(asked, lambda call: _predict_form(call, body, form))
        return self._inference.answer(asked, lambda call: _ANSWERS[asked.method](call, parse_json(body)))

    def _describe(self, match: re.Match[str], version: int | None) -> Response:
        manager = self._inference.manager
        if match["metadata"]:
            servable, _ = manager.find(match["model"], version, match["label"])
            return _json(metadata_response(servable))
        return _json(to_json(status_response(manager, match["model"], version, match["label"])))

    async def _list(self, _: Request) -> Response:
        found = [
            {
                "name": name,
                "ready": model.ready,
                "labels": {label: servable.version for label, servable in sorted(model.labels.items())},
            }
            for name, model in sorted(self._inference.manager.models().items())
        ]
        return _json({"models": found})

    async def _healthz(self, _: Request) -> Response:
        manager = self._inference.manager
        ready = manager.ready and not self._inference.draining
        models = {
            name: {label: servable.version for label, servable in model.labels.items()}
            for name, model in manager.models().items()
        }
        waiting = {name: model.why_not for name, model in manager.models().items() if not model.ready}
        damaged = {name: model.damaged for name, model in manager.models().items() if model.damaged}
        status = "stopping" if self._inference.draining else "not ready"
        if ready:
            status = "degraded" if damaged else "ready"
        document = {"status": status, "models": models}
        document |= {"waiting_for": waiting} if waiting else {}
        document |= {"damaged": damaged} if damaged else {}
        return _json(document, 200 if ready else 503)

    async def _livez(self, _: Request) -> Response:
        return _json({"status": "alive"})

    async def _prometheus(self, _: Request) -> Response:
        return Response(self._inference.metrics.text(), media_type=CONTENT_TYPE)


def _predict(call: Call, document: dict[str, Any]) -> bytes:
    signature = call.servable.signature(_signature_name(document))
    arrays, row_form = decode_predict(document, signature.inputs)
    rows = len(document["instances"]) if row_form else 0
    classes = _asked_classes(call, document)
    try:
        outputs = call.run(signature, arrays)
    except BadRequestError as error:
        raise BadRequestError(f"{error}{hint_at_base64(arrays)}") from None
    return encode_predict(outputs, row_form, rows, classes)


def _predict_form(call: Call, body: bytes, content_type: str) -> bytes:
    """The answer to a form, by row, always with the classes by name."""
    parts = parse_form(body, content_type)
    signature = call.servable.signature(signature_name(parts))
    document = {"instances": decode_form(parts, signature.inputs)}
    arrays, _ = decode_predict(document, signature.inputs)
    outputs = call.run(signature, arrays)
    classes = call.servable.classes if outputs.keys() & {"probability", "probabilities"} else ()
    return encode_predict(outputs, True, len(document["instances"]), classes)


def _asked_classes(call: Call, document: dict[str, Any]) -> tuple[str, ...]:
    """The model's classes, if the request wants them by name: `"classes": true`."""
    if not isinstance(wanted := document.get("classes", False), bool):
        raise BadRequestError(f'"classes" must be true or false. Received: {wanted!r}')
    if wanted and not call.servable.classes:
        raise BadRequestError('"classes": this model has none; leave it out.')
    return call.servable.classes if wanted else ()


def _classify(call: Call, document: dict[str, Any]) -> bytes:
    signature = call.servable.signature_for(CLASSIFY, _signature_name(document))
    return encode_classify(*call.classify(signature, decode_examples(document, call.servable.features)))


def _regress(call: Call, document: dict[str, Any]) -> bytes:
    signature = call.servable.signature_for(REGRESS, _signature_name(document))
    return encode_regress(call.regress(signature, decode_examples(document, call.servable.features)))


_ANSWERS: dict[str, Callable[[Call, dict[str, Any]], bytes]] = {
    PREDICT: _predict,
    CLASSIFY: _classify,
    REGRESS: _regress,
}


def _signature_name(document: dict[str, Any]) -> str:
    name = document.get("signature_name", "")
    if not isinstance(name, str):
        raise BadRequestError(f'"signature_name" must be a string. Received: {name!r}')
    return name


def _version(text: str | None) -> int | None:
    if text is None or text.isdecimal():
        return None if text is None else int(text)
    raise BadRequestError(f"a version is a whole number. Received: {text!r}. For a label, ask /labels/{text}.")


def _json(document: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(document, option=orjson.OPT_INDENT_2), status, media_type="application/json")


def _error(status: int, message: str, retry_after: int | None = None) -> Response:
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return Response(orjson.dumps({"error": message}), status, headers, "application/json")


async def _not_found(request: Request, _: Exception) -> Response:
    return _error(404, f"there is nothing at {request.url.path}. Models are at /v1/models/<model>.")


async def _not_allowed(request: Request, _: Exception) -> Response:
    return _error(405, f"{request.url.path} does not take {request.method}.")


async def _broken(request: Request, error: Exception) -> Response:
    _log.error("%s failed", request.url.path, exc_info=error)
    return _error(500, f"the server failed: {type(error).__name__}. Its log says more.")
