"""The protocol's REST API."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from serving.errors import NotReadyError, ServingError
from serving.http.aside import Aside
from serving.http.bodies import Bodies
from serving.http.responses import json_response, refusal
from serving.inference.inference import Inference
from serving.inference.request_ids import HEADER, request_id
from serving.open_inference import _json
from serving.open_inference._metadata import model_metadata, server_metadata
from serving.open_inference._requests import inferred, version_of

_Handler = Callable[[Request], Awaitable[Response]]


class OpenInferenceApi:
    """`/v2/...`.

    Args:
        aside: decodes and encodes what is large.
    """

    def __init__(self, inference: Inference, bodies: Bodies, aside: Aside) -> None:
        self._inference, self._bodies, self._aside = inference, bodies, aside
        self.routes = [
            _route("/v2", self._server),
            _route("/v2/health/live", self._live),
            _route("/v2/health/ready", self._ready),
            _route("/v2/models", self._models),
        ]
        for model in ("/v2/models/{model}", "/v2/models/{model}/versions/{version}"):
            self.routes += [
                _route(model, self._model),
                _route(f"{model}/ready", self._model_ready),
                _route(f"{model}/infer", self._infer, "POST"),
            ]

    async def _server(self, _: Request) -> Response:
        return json_response(server_metadata())

    async def _live(self, _: Request) -> Response:
        return json_response({"live": True})

    async def _ready(self, _: Request) -> Response:
        ready = self._inference.manager.ready and not self._inference.leaving
        return json_response({"ready": ready}, 200 if ready else 503)

    async def _models(self, _: Request) -> Response:
        return json_response({"models": sorted(self._inference.manager.models())})

    async def _model(self, request: Request) -> Response:
        manager = self._inference.manager
        servable, _ = manager.find(*_target(request))
        return json_response(model_metadata(manager, servable))

    async def _model_ready(self, request: Request) -> Response:
        servable, _ = self._inference.manager.find(*_target(request))
        if self._inference.leaving:
            raise NotReadyError("the server is stopping; ask another one")
        return json_response({"name": servable.model, "ready": True})

    async def _infer(self, request: Request) -> Response:
        self._inference.accept()
        model, version = _target(request)
        async with self._bodies.read(request) as body:
            length = request.headers.get(_json.HEADER_LENGTH, "")
            infer = await self._aside.run(len(body), lambda: _json.parse(body, length))
            request.state.id = request_id(request.headers.get(HEADER) or infer.id)
            asked = infer.to(request.state.id, "rest", model, version)
            answer, split = await self._inference.answer(
                asked, lambda call: inferred(call, self._aside, infer, len(body), _json.answer)
            )
        if split is None:
            return Response(answer, media_type="application/json")
        return Response(answer, headers={_json.HEADER_LENGTH: str(split)}, media_type="application/octet-stream")


def _route(path: str, handler: _Handler, method: str = "GET") -> Route:
    async def endpoint(request: Request) -> Response:
        request.state.id = request_id(request.headers.get(HEADER))
        try:
            response = await handler(request)
        except ServingError as error:
            response = refusal(error)
        response.headers[HEADER] = request.state.id
        return response

    return Route(path, endpoint, methods=[method])


def _target(request: Request) -> tuple[str, int | None]:
    return request.path_params["model"], version_of(request.path_params.get("version", ""))
