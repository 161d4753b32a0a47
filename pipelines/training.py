"""The one training graph: a workload becomes a TFX pipeline.

The same function serves every runner; what differs (where artifacts and metadata lie) comes in as `Site`.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
from typing import Any

from tfx.dsl.components.base import base_component
from tfx.orchestration import pipeline as tfx_pipeline
from tfx.types import BaseChannel

from components import code_digest
from components.baseline import Baseline, BaselineConfig
from components.champion import ChampionResolver
from components.data_quality import DataQuality, check_contract
from components.drift import DriftDetector
from components.evaluator import Evaluator
from components.example_validator import ExampleValidator
from components.infra_validator import InfraValidator
from components.ingestion import ColumnarExampleGen, IngestionConfig, Reading
from components.pusher import Pusher
from components.report.component import Report
from components.schema import SchemaImporter, left_out, read_schema
from components.statistics import StatisticsGen
from components.trainer import Trainer, TrainingConfig
from components.transform import Transform
from pipelines.drift_limits import drift_config
from spec.workload import Workload


@dataclasses.dataclass(frozen=True)
class Site:
    """Where a pipeline finds and leaves things.

    Attributes:
        workload_folder: features.py and model.py.
        schema_folder: schema.pbtxt and expectations.json.
        data_root: fills `{DATA}` in data.uri; a folder, or the URL of one.
        pipeline_root: artifacts go below it; a folder, or the URL of one.
        store_uri: the model store.
        metadata: MLMD's ConnectionConfig.
        code_revision: git revision of the code, for the release's manifest.
        code_digest: of that code.
        beam_args: Beam's pipeline options; none: in this process, as far as it goes.
    """

    workload_folder: pathlib.Path
    schema_folder: pathlib.Path
    data_root: pathlib.Path | str
    pipeline_root: pathlib.Path | str
    store_uri: str
    metadata: Any
    code_revision: str
    beam_args: tuple[str, ...] = ()
    code_digest: str = ""


def training_pipeline(workload: Workload, span: int, site: Site) -> tfx_pipeline.Pipeline:
    """Builds the graph of DESIGN: every gate stands between the data and the release.

    Args:
        workload: the use case.
        span: the newest span to train on; -1: the newest there is when the pipeline runs.
        site: where things lie.
    """
    components = _components(workload, span, site)
    code_digest.add_to_cache_keys(components)
    return tfx_pipeline.Pipeline(
        pipeline_name=workload.name,
        pipeline_root=str(site.pipeline_root),
        components=components,
        enable_cache=True,
        metadata_connection_config=site.metadata,
        beam_pipeline_args=list(site.beam_args),
    )


def _components(workload: Workload, span: int, site: Site) -> list[base_component.BaseComponent]:
    root = str(site.pipeline_root)
    label = workload.data.label

    left_out_columns = left_out(read_schema(str(site.schema_folder)), workload.data.ignore)
    schema = SchemaImporter(str(site.schema_folder / "schema.pbtxt"), left_out_columns)
    schema_channel = schema.outputs["schema"]
    examples = ColumnarExampleGen(schema_channel, _ingestion(workload, site), span)
    examples_channel = examples.outputs["examples"]
    statistics = StatisticsGen(examples_channel, schema_channel)
    validator = ExampleValidator(examples_channel, statistics.outputs["statistics"], schema_channel, pipeline_root=root)
    suite = site.schema_folder / "expectations.json"
    check_contract(suite, site.schema_folder, left_out_columns)
    quality = DataQuality(
        examples_channel,
        schema_channel,
        suite_file=str(suite),
        pipeline_root=root,
        fail_on=workload.quality.fail_on,
        keys=workload.key_columns,
        code=[site.workload_folder],
        left_out=left_out_columns,
    )
    champion_of = (site.store_uri, workload.name) if workload.quality.drift.reference == "champion" else None
    drift = DriftDetector(
        examples_channel, schema_channel, drift_config(workload), pipeline_root=root, champion_of=champion_of
    )
    transform = Transform(
        examples_channel,
        schema_channel,
        module_file=str(site.workload_folder / "features.py"),
        label=label.column,
        task=str(workload.task),
        positive_class=label.positive_class or "",
    )
    # The gates on data have no output that Transform needs; order alone makes them gates.
    transform.add_upstream_nodes([validator, quality, drift])
    trainer = Trainer(
        transform.outputs["transformed_examples"],
        transform.outputs["transform_graph"],
        schema_channel,
        module_file=str(site.workload_folder / "model.py"),
        training=_training(workload),
    )
    champion = ChampionResolver(store_uri=site.store_uri, model_name=workload.name)
    baseline = _baseline(workload, examples_channel, schema_channel)
    if baseline is not None:
        baseline.add_upstream_nodes([validator, quality, drift])
    evaluator = Evaluator(
        examples=examples_channel,
        model=trainer.outputs["model"],
        champion=champion.outputs["champion"],
        schema=schema_channel,
        evaluation_config=_evaluation(workload),
        baseline=baseline and baseline.outputs["baseline"],
    )
    infra = InfraValidator(
        model=trainer.outputs["model"],
        examples=examples_channel,
        schema=schema_channel,
        config=workload.infra_validation.model_dump_json(),
    )
    pusher = Pusher(
        model=trainer.outputs["model"],
        examples=examples_channel,
        evaluation=evaluator.outputs["evaluation"],
        model_blessing=evaluator.outputs["blessing"],
        infra_blessing=infra.outputs["blessing"],
        data_quality=quality.outputs["data_quality"],
        anomalies=validator.outputs["anomalies"],
        champion=champion.outputs["champion"],
        task=str(workload.task),
        store_uri=site.store_uri,
        model_name=workload.name,
        code_revision=site.code_revision,
        code_digest=site.code_digest,
    )
    report = Report(
        examples=examples_channel,
        statistics=statistics.outputs["statistics"],
        anomalies=validator.outputs["anomalies"],
        data_quality=quality.outputs["data_quality"],
        drift=drift.outputs["drift"],
        transform_graph=transform.outputs["transform_graph"],
        model=trainer.outputs["model"],
        model_run=trainer.outputs["model_run"],
        champion=champion.outputs["champion"],
        baseline=baseline and baseline.outputs["baseline"],
        evaluation=evaluator.outputs["evaluation"],
        model_blessing=evaluator.outputs["blessing"],
        infra_blessing=infra.outputs["blessing"],
        pushed_model=pusher.outputs["pushed_model"],
        workload=workload.model_dump_json(),
        pipeline_root=root,
    )
    return [
        schema,
        examples,
        statistics,
        validator,
        quality,
        drift,
        transform,
        trainer,
        champion,
        *([baseline] if baseline is not None else []),
        evaluator,
        infra,
        pusher,
        report,
    ]


def _ingestion(workload: Workload, site: Site) -> IngestionConfig:
    data = workload.data
    return IngestionConfig(
        uri=workload.span_uri("{SPAN}", site.data_root),
        format=data.format,
        label=data.label.column,
        window=data.window,
        ignore=data.ignore,
        split_key=workload.split_key,
        split_time=data.split.time,
        split_column=data.split.column,
        eval_fraction=data.split.eval_fraction,
        test_fraction=data.split.test_fraction,
        split_seed=data.split.seed,
        on_bad_rows=data.on_bad_rows,
        max_bad_fraction=data.max_bad_fraction,
        reading=Reading.of(data.read.model_dump()),
        merge_spellings=data.label.merge_spellings,
        drop_unlabelled=data.label.drop_unlabelled,
    )


def _training(workload: Workload) -> TrainingConfig:
    return TrainingConfig(
        task=str(workload.task),
        label=workload.data.label.column,
        na_values=workload.data.read.na_values,
        na_values_by_column=workload.data.read.na_values_by_column,
        **workload.training.model_dump(),
    )


def _baseline(workload: Workload, examples: BaseChannel, schema: BaseChannel) -> Baseline | None:
    if workload.evaluation.baseline == "none":
        return None
    split = workload.data.split
    config = BaselineConfig(
        task=str(workload.task),
        label=workload.data.label.column,
        positive_class=workload.data.label.positive_class or "",
        query=workload.data.query or "",
        leave_out=tuple(name for name in (split.key, split.time, split.column, workload.data.query) if name),
    )
    return Baseline(examples, schema, config)


def _evaluation(workload: Workload) -> str:
    return json.dumps(
        {
            "task": str(workload.task),
            "label": workload.data.label.column,
            "query": workload.data.query or "",
            "thresholds": [t.model_dump() for t in workload.evaluation.thresholds],
            "confidence": workload.evaluation.confidence,
            "not_judged": workload.evaluation.not_judged,
            "slices": list(workload.evaluation.slices),
            "champion_metric": workload.champion_metric,
            "max_loss": workload.evaluation.champion.max_loss,
        },
        sort_keys=True,
    )
