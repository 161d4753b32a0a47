"""What example.yaml was compiled from, in the pipelines environment: `python example.py`."""

import pathlib

from kfp import compiler, dsl, kubernetes


@dsl.container_component
def prepare(span: int) -> dsl.ContainerSpec:
    return dsl.ContainerSpec(image="python:3.13-slim", command=["echo"], args=[span])


@dsl.container_component
def train(rate: float, deep: bool, layers: list, options: dict, note: str) -> dsl.ContainerSpec:
    return dsl.ContainerSpec(image="python:3.13-slim", command=["echo"], args=[rate, deep, layers, options, note])


@dsl.pipeline(name="example")
def example(
    span: int,
    rate: float = 0.1,
    deep: bool = False,
    layers: list = [16],  # noqa: B006
    options: dict = {},  # noqa: B006
    note: str = "none",
) -> None:
    first = prepare(span=span)
    second = train(rate=rate, deep=deep, layers=layers, options=options, note=note).after(first)
    kubernetes.add_node_selector(second, "pool", "gpu")


compiler.Compiler().compile(example, str(pathlib.Path(__file__).with_suffix(".yaml")))
