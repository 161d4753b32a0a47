"""The Pusher, as a TFX pipeline sees it."""

from __future__ import annotations

from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import channel, component_spec, standard_artifacts

from components.artifacts import DataQualityReport
from components.pusher.driver import Driver
from components.pusher.executor import Executor


class PusherSpec(component_spec.ComponentSpec):
    """Inputs, outputs and parameters of `Pusher`."""

    PARAMETERS = {
        "store_uri": component_spec.ExecutionParameter(type=str),
        "model_name": component_spec.ExecutionParameter(type=str),
        "task": component_spec.ExecutionParameter(type=str),
        "code_revision": component_spec.ExecutionParameter(type=str),
        "code_digest": component_spec.ExecutionParameter(type=str),
        "releases_gone": component_spec.ExecutionParameter(type=int, optional=True),
    }
    INPUTS = {
        "model": component_spec.ChannelParameter(type=standard_artifacts.Model),
        "examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "evaluation": component_spec.ChannelParameter(type=standard_artifacts.ModelEvaluation),
        "model_blessing": component_spec.ChannelParameter(type=standard_artifacts.ModelBlessing),
        "infra_blessing": component_spec.ChannelParameter(type=standard_artifacts.InfraBlessing),
        "champion": component_spec.ChannelParameter(type=standard_artifacts.Model, optional=True),
        "data_quality": component_spec.ChannelParameter(type=DataQualityReport, optional=True),
        "anomalies": component_spec.ChannelParameter(type=standard_artifacts.ExampleAnomalies, optional=True),
    }
    OUTPUTS = {"pushed_model": component_spec.ChannelParameter(type=standard_artifacts.PushedModel)}


class Pusher(base_component.BaseComponent):
    """Publishes a model that both validators blessed; what is not blessed is not pushed, and the reason is recorded.

    A publication is named by the model's bytes and its data, so that a run that starts again after a crash publishes
    once. A release that was deleted from the store since is published again, cache or not.

    Args:
        model: exported by the Trainer.
        examples: that it was trained on.
        evaluation: its metrics and their gate.
        model_blessing: of the Evaluator.
        infra_blessing: of the InfraValidator.
        store_uri: of the model store.
        model_name: under which to publish.
        task: binary, multiclass, regression or ranking.
        code_revision: of the code that trained it.
        code_digest: of its bytes.
        champion: that it was compared with; becomes the release's parent.
        data_quality: whose gate is recorded in the release.
        anomalies: of the ExampleValidator, whose gate is recorded in the release.
    """

    SPEC_CLASS = PusherSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)
    DRIVER_CLASS = Driver

    def __init__(
        self,
        model: channel.BaseChannel,
        examples: channel.BaseChannel,
        evaluation: channel.BaseChannel,
        model_blessing: channel.BaseChannel,
        infra_blessing: channel.BaseChannel,
        store_uri: str,
        model_name: str,
        task: str,
        code_revision: str = "",
        code_digest: str = "",
        champion: channel.BaseChannel | None = None,
        data_quality: channel.BaseChannel | None = None,
        anomalies: channel.BaseChannel | None = None,
    ) -> None:
        super().__init__(
            PusherSpec(
                model=model,
                examples=examples,
                evaluation=evaluation,
                model_blessing=model_blessing,
                infra_blessing=infra_blessing,
                champion=champion,
                data_quality=data_quality,
                anomalies=anomalies,
                store_uri=store_uri,
                model_name=model_name,
                task=task,
                code_revision=code_revision,
                code_digest=code_digest,
                releases_gone=0,  # the driver fills it in
                pushed_model=channel.Channel(type=standard_artifacts.PushedModel),
            )
        )
