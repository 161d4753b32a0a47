"""KFP's contract, read from KFP's own OpenAPI client: what a request may ask, and what a body may hold.

Each function says what is against it, a line each.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import kfp_server_api
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

_TYPES = {
    "STRING": str, "NUMBER_INTEGER": int, "NUMBER_DOUBLE": (int, float), "BOOLEAN": bool, "STRUCT": dict, "LIST": list,
}  # fmt: skip
_OPERATIONS = {
    "experiment_service_list_experiments": kfp_server_api.ExperimentServiceApi,
    "experiment_service_create_experiment": kfp_server_api.ExperimentServiceApi,
    "experiment_service_get_experiment": kfp_server_api.ExperimentServiceApi,
    "run_service_list_runs": kfp_server_api.RunServiceApi,
    "run_service_create_run": kfp_server_api.RunServiceApi,
    "run_service_get_run": kfp_server_api.RunServiceApi,
    "run_service_terminate_run": kfp_server_api.RunServiceApi,
    "healthz_service_get_healthz": kfp_server_api.HealthzServiceApi,
    "pipeline_service_get_pipeline_version": kfp_server_api.PipelineServiceApi,
    "pipeline_service_list_pipeline_versions": kfp_server_api.PipelineServiceApi,
}


def of_query(operation: str, query: Mapping[str, str]) -> Iterator[str]:
    """Names that the operation of KFP's OpenAPI client sends."""
    source = inspect.getsource(getattr(_OPERATIONS[operation], f"{operation}_with_http_info"))
    known = set(re.findall(r"query_params\.append\(\('(\w+)'", source))
    yield from (f"{operation}: no query parameter {name!r}" for name in set(query) - known)
    if "filter" in query:
        yield from of_model("filter", {"predicates": predicates(query)}, "V2beta1Filter")
    if not 0 <= int(query.get("page_size", 0)) <= 200:
        yield f"{operation}: page_size {query['page_size']}"


def of_answer(operation: str, answer: Any) -> Iterator[str]:
    """Whether an answer is what KFP's OpenAPI client reads after that operation."""
    source = inspect.getsource(getattr(_OPERATIONS[operation], f"{operation}_with_http_info"))
    kind = re.search(r"response_type='(\w+)'", source)
    assert kind, operation
    yield from of_model(f"answer of {operation}", answer, kind[1])


def of_model(where: str, value: Any, kind: str) -> Iterator[str]:
    """Whether a JSON value is what KFP's model of that name takes."""
    if value is None or kind == "object":
        return
    if match := re.fullmatch(r"(?:list\[|dict\(str, )(.*)[\])]", kind):
        wanted = list if kind.startswith("list") else dict
        if not isinstance(value, wanted):
            yield f"{where}: {kind}. Received: {value!r}"
            return
        for inner in value.values() if wanted is dict else value:
            yield from of_model(where, inner, match[1])
        return
    if plain := {"str": str, "int": int, "bool": bool, "float": (int, float), "datetime": str}.get(kind):
        if not isinstance(value, plain):
            yield f"{where}: {kind}. Received: {value!r}"
        return
    model = getattr(kfp_server_api, kind)
    if allowed := getattr(model, "allowable_values", None):
        if value not in allowed:
            yield f"{where}: one of {allowed}. Received: {value!r}"
        return
    fields = {json_name: model.openapi_types[name] for name, json_name in model.attribute_map.items()}
    for name, inner in value.items():
        if name not in fields:
            yield f"{where}: {kind} has no field {name!r}"
        else:
            yield from of_model(f"{where}.{name}", inner, fields[name])


def of_submission(sent: Any, parameters: Mapping[str, Any]) -> Iterator[str]:
    """Whether a run's file is a pipeline of KFP's, and declares the run's parameters with their types.

    Raises:
        json_format.ParseError: it is none.
    """
    if "pipeline_spec" in sent:  # a file of two documents; one alone comes without a frame
        json_format.ParseDict(sent["platform_spec"], pipeline_spec_pb2.PlatformSpec())
        sent = sent["pipeline_spec"]
    spec = json_format.ParseDict(sent, pipeline_spec_pb2.PipelineSpec())
    declared = spec.root.input_definitions.parameters
    for name, value in parameters.items():
        if name not in declared:
            yield f"run: the file has no parameter {name!r}"
            continue
        kind = pipeline_spec_pb2.ParameterType.ParameterTypeEnum.Name(declared[name].parameter_type)
        if not isinstance(value, _TYPES[kind]) or (isinstance(value, bool) and kind != "BOOLEAN"):
            yield f"run: parameter {name} is {kind}. Received: {value!r}"


def predicates(query: Mapping[str, str]) -> list[dict[str, Any]]:
    """A list's filter. It is the JSON of a proto: names may be camelCase and enums numbers, as kfp.Client writes them."""
    found = []
    for written in json.loads(query.get("filter", "{}")).get("predicates", ()):
        predicate = {
            re.sub("[A-Z]", lambda letter: f"_{letter[0].lower()}", key): value for key, value in written.items()
        }
        if predicate.get("operation") == 1:
            predicate["operation"] = "EQUALS"
        found.append(predicate)
    return found
