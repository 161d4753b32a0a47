"""TF Serving's REST API."""

from __future__ import annotations

import re
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from serving.codec.decoding import decode_columns, hint_at_base64, is_by_row, parse_json, rows_of
from serving.codec.encoding import encode_classify, encode_columns, encode_regress
from serving.codec.examples import decode_examples
from serving.codec.explanations import explanations
from serving.codec.forms import decode_form, is_form, parse_form, signature_name
from serving.codec.tensors import show, size_of
from serving.errors import BadRequestError, NotFoundError, ServingError
from serving.http.aside import Aside
from serving.http.bodies import Bodies
from serving.http.responses import error_response, json_response, refusal
from serving.images.fetching import Images
from serving.inference.answer_cache import AnswerCache, Kept
from serving.inference.inference import Call, Inference
from serving.inference.inference import Request as Asked
from serving.inference.request_ids import HEADER, request_id
from serving.inference.versions import version_number
from serving.models.servable import CLASSIFY, Signature
from serving.tfserving._status import metadata_response, status_response, to_json

_TARGET = re.compile(
    r"/v1/models/(?P<model>[^/:]+)(?:/versions/(?P<version>[^/:]+)|/labels/(?P<label>[^/:]+))?"
    r"(?::(?P<method>predict|classify|regress)|(?P<metadata>/metadata))?"
)
BELOW = "/v1/models/"
PREDICT = "predict"


class TfServingApi:
    """`/v1/models/...`.

    Args:
        aside: decodes and encodes what is large.
        images: fetches those that rows name by their URLs.
        cache: keeps answers; None: each is computed.
    """

    def __init__(
        self, inference: Inference, bodies: Bodies, aside: Aside, images: Images, cache: AnswerCache | None = None
    ) -> None:
        self._inference, self._bodies, self._aside, self._images = inference, bodies, aside, images
        self._cache = cache
        self.routes = [Route("/v1/models", self._list)]

    async def models(self, request: Request) -> Response:
        """Answers what is below `BELOW`."""
        asked = request_id(request.headers.get(HEADER))
        try:
            response = await self._answered(request, asked)
        except ServingError as error:
            response = refusal(error)
        response.headers[HEADER] = asked
        return response

    async def _answered(self, request: Request, request_id: str) -> Response:
        path = request.scope["path"]
        match = _TARGET.fullmatch(path)
        if match is None:
            raise NotFoundError(
                f"malformed path {path}. Expected /v1/models/<model>[/versions/<n>|/labels/<label>]"
                "[:predict|:classify|:regress|/metadata]"
            )
        version = _version(match["version"])
        if match["method"]:
            return await self._infer(
                request, Asked(request_id, "rest", match["method"], match["model"], version, match["label"])
            )
        if request.method not in ("GET", "HEAD"):
            return error_response(405, f"{path} is asked with GET. Did you mean {path}:predict?")
        return self._describe(match, version)

    async def _infer(self, request: Request, asked: Asked) -> Response:
        method = asked.method
        if request.method != "POST":
            return error_response(405, f":{method} is asked with POST and a JSON body.")
        form = content_type if is_form(content_type := request.headers.get("content-type", "")) else ""
        if form and method != PREDICT:
            raise BadRequestError(f":{method} takes a JSON body; only :{PREDICT} takes a form.")
        explain = _asked_explanations(request, method)
        self._inference.accept()
        async with self._bodies.read(request) as body:
            answer, cached = await self._inference.answer(
                asked, lambda call: self._kept_or_new(call, method, body, form, explain)
            )
        return Response(answer, headers={"X-Cache": cached} if cached else None, media_type="application/json")

    async def _kept_or_new(self, call: Call, method: str, body: bytes, form: str, explain: bool) -> tuple[bytes, str]:
        """The answer, and whether it was kept: hit or miss; empty where no answers are."""
        # What lies at a URL may change while the URL does not.
        if self._cache is None or method != PREDICT or b'"url"' in body:
            return await self._answer(call, method, body, form, explain), ""
        servable = call.servable
        key = self._cache.key(servable.model, servable.version, body, form.encode(), bytes([explain]))
        if kept := self._cache.get(key):
            call.repeat(kept.part, kept.recorded, kept.predicts)
            return kept.body, "hit"
        answer = await self._answer(call, method, body, form, explain)
        if call.part is not None:
            self._cache.put(key, Kept(answer, call.part.alone(), call.recorded, call.predicts))
        return answer, "miss"

    async def _answer(self, call: Call, method: str, body: bytes, form: str, explain: bool) -> bytes:
        """From bytes to bytes; `form` is the content type of a form, else empty."""
        if method == PREDICT:
            return await self._predict(call, body, form, explain)
        document = await self._aside.run(len(body), lambda: parse_json(body))
        signature = call.servable.signature_for(method, _signature_name(document))
        examples = await self._aside.run(len(body), lambda: decode_examples(document, call.servable.features))
        if method == CLASSIFY:
            classes, scores = await call.classify(signature, examples)
            return await self._aside.run(scores.nbytes, lambda: encode_classify(classes, scores))
        values = await call.regress(signature, examples)
        return await self._aside.run(values.nbytes, lambda: encode_regress(values))

    async def _predict(self, call: Call, body: bytes, form: str, explain: bool) -> bytes:
        if form:
            parts = await self._aside.run(len(body), lambda: parse_form(body, form))
            signature = call.servable.signature(signature_name(parts))
            has_classes = signature.outputs.keys() & {"probability", "probabilities"}
            classes = call.servable.classes if has_classes else ()
            rows = await self._aside.run(len(body), lambda: decode_form(parts, signature.inputs))
            return await self._by_row(call, signature, rows, classes, explain)
        document = await self._aside.run(len(body), lambda: parse_json(body))
        signature = call.servable.signature(_signature_name(document))
        classes = _asked_classes(call, document)
        if is_by_row(document):
            return await self._by_row(call, signature, rows_of(document), classes, explain)
        if explain:
            raise BadRequestError('?explain=true: explanations are given by row; ask with "instances".')
        columns = await self._aside.run(len(body), lambda: decode_columns(document["inputs"], signature.inputs))
        try:
            outputs = await call.run(signature, call.servable.checked(signature, columns))
        except BadRequestError as error:
            raise BadRequestError(f"{error}{hint_at_base64(columns)}") from None
        return await self._aside.run(size_of(outputs), lambda: encode_columns(outputs, classes))

    async def _by_row(
        self, call: Call, signature: Signature, instances: list[Any], classes: tuple[str, ...], explain: bool
    ) -> bytes:
        explainer = call.servable.explainer_of(signature) if explain else None
        instances = await self._images.in_place(instances, signature.inputs)
        part = await call.run_rows(signature, instances)
        if explainer is None:
            return await self._aside.run(part.nbytes, lambda: part.encode(classes))
        moved = await call.explain_rows(explainer, instances)
        return await self._aside.run(
            part.nbytes + moved.nbytes, lambda: part.encode(classes, explanations(moved.outputs, explainer.inputs))
        )

    def _describe(self, match: re.Match[str], version: int | None) -> Response:
        manager = self._inference.manager
        if match["metadata"]:
            servable, _ = manager.find(match["model"], version, match["label"])
            return json_response(metadata_response(servable))
        return json_response(to_json(status_response(manager, match["model"], version, match["label"])))

    async def _list(self, _: Request) -> Response:
        found = [
            {
                "name": name,
                "ready": model.ready,
                "labels": {label: servable.version for label, servable in sorted(model.labels.items())},
            }
            for name, model in sorted(self._inference.manager.models().items())
        ]
        return json_response({"models": found})


def _asked_classes(call: Call, document: dict[str, Any]) -> tuple[str, ...]:
    """The model's classes, if the request wants them by name: `"classes": true`."""
    if not isinstance(wanted := document.get("classes", False), bool):
        raise BadRequestError(f'"classes" must be true or false. Received: {show(wanted)}')
    if wanted and not call.servable.classes:
        raise BadRequestError('"classes": this model has none; leave it out.')
    return call.servable.classes if wanted else ()


def _asked_explanations(request: Request, method: str) -> bool:
    """Whether the request wants to know what moved its answers: `?explain=true`."""
    if not request.scope["query_string"]:
        return False
    wanted = request.query_params.get("explain", "false")
    if wanted not in ("true", "false") or (wanted == "true" and method != PREDICT):
        raise BadRequestError(
            f"?explain= is true or false, and :{PREDICT} takes it. Received: {wanted!r}, of :{method}"
        )
    return wanted == "true"


def _signature_name(document: dict[str, Any]) -> str:
    name = document.get("signature_name", "")
    if not isinstance(name, str):
        raise BadRequestError(f'"signature_name" must be a string. Received: {show(name)}')
    return name


def _version(text: str | None) -> int | None:
    return None if text is None else version_number(text, f"For a label, ask /labels/{text}.")
