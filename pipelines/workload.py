"""The workload model: everything that workload.yaml may say.

Airflow imports this module to build its DAGs, so it imports pydantic and yaml and nothing heavier.
`docs/reference/workload.md` is generated from the descriptions below.
"""

from __future__ import annotations

import os
import pathlib
import re
import zoneinfo
from enum import StrEnum
from typing import Annotated, Any, Literal

import pydantic
import yaml
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Fraction = Annotated[float, Field(ge=0, le=1)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]


# libyaml's where PyYAML has it, ten times as fast: Airflow reads every workload.yaml twice a minute.
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class WorkloadError(ValueError):
    """A workload.yaml that cannot be used: file, field, what was received and how to mend it, a line each."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Task(StrEnum):
    """What the model predicts; it decides loss, metrics and the served signatures."""

    BINARY = "binary"
    MULTICLASS = "multiclass"
    REGRESSION = "regression"
    RANKING = "ranking"


class Label(_Section):
    column: str
    """The column to predict. Its classes are its domain in schema.pbtxt (int_domain, string_domain or bool_domain); for ranking
    it is the relevance of a row to its query, 0 or more."""
    positive_class: str | None = None
    """binary only: which class counts as positive. Default: the last of the domain."""


class Split(_Section):
    key: str | None = None
    """Column whose hash decides the split; the same key is always in the same split. Default: all columns but the label, so that
    rows of the same features stay together; for ranking the query, so that no query is torn apart."""
    time: str | None = None
    """Column (number or ISO 8601 time) to split by: the newest rows are evaluated. Excludes `key` and `column`."""
    column: str | None = None
    """Column that says `train` or `eval` for each row, for data that comes with an official test set; not a feature."""
    eval_fraction: Fraction = 0.2
    """Share of the rows that is kept for evaluation."""

    @model_validator(mode="after")
    def _one_way(self) -> Split:
        if sum(way is not None for way in (self.key, self.time, self.column)) > 1:
            raise ValueError("a split goes by key, by time or by column; keep one of them")
        if not 0 < self.eval_fraction < 1:
            raise ValueError(f"eval_fraction must lie between 0 and 1, exclusive. Received: {self.eval_fraction}")
        return self


class Data(_Section):
    uri: str = "{DATA}/{WORKLOAD}/span-{SPAN}/*"
    """Where the data lies. `{SPAN}` is the span's number; `{YYYY}`, `{MM}` and `{DD}` its day instead (the span is then the days
    since 1970-01-01); of `{VERSION}` the newest counts; `{DATA}` is the landing folder (TRAINYARD_DATA)."""
    format: Literal["csv", "parquet", "jsonl", "tfrecord", "images"] = "csv"
    """How the files are written. tfrecord: of tf.Example, gzipped or not. images: a folder for each class; the encoded bytes
    become the column `image`, the folder's name the label."""
    label: Label
    """What to predict."""
    query: str | None = None
    """ranking only, and needed there: the column of which one value (a search, a user) makes the rows that are ranked against each
    other."""
    dataset: str | None = None
    """A data set that Trainyard knows how to fetch (pipelines/datasets): a span that is not there yet is laid out from it."""
    window: int = Field(default=1, ge=1, le=1000)
    """How many spans to train on: the newest and those before it."""
    split: Split = Split()
    """How rows are divided into train and eval."""
    ignore: tuple[str, ...] = ()
    """Columns of the files that the pipeline does not read, by name or pattern: `debug_*`, or `*` for all that schema.pbtxt does
    not name."""
    on_bad_rows: Literal["fail", "quarantine"] = "fail"
    """What a row gets that is ragged, of the wrong type, not UTF-8, or lacks a required value. fail: the run ends and names it.
    quarantine: it goes into a side file with the reason, is counted, and the others are read."""
    max_bad_fraction: Fraction = 0.01
    """quarantine only: the run ends all the same when a greater share of the rows is bad."""

    @field_validator("uri")
    @classmethod
    def _known_placeholders(cls, uri: str) -> str:
        used = set(re.findall(r"\{(\w+)\}", uri))
        known = ("SPAN", "VERSION", "YYYY", "MM", "DD", "DATA", "WORKLOAD")
        if unknown := sorted(used - set(known)):
            raise ValueError(f"unknown placeholder {{{unknown[0]}}}; use one of {', '.join(f'{{{k}}}' for k in known)}")
        dates = used & {"YYYY", "MM", "DD"}
        if dates and len(dates) < 3:
            raise ValueError("a date needs {YYYY}, {MM} and {DD}")
        if dates and "SPAN" in used:
            raise ValueError("spans go by {SPAN} or by date; keep one of them")
        if "VERSION" in used and not used & {"SPAN", "YYYY"}:
            raise ValueError("{VERSION} is the version of a span: add {SPAN}, or {YYYY}, {MM} and {DD}")
        return uri


class Training(_Section):
    epochs: int = Field(default=10, ge=1, le=10_000)
    """Passes over the training split."""
    batch_size: int = Field(default=256, ge=1, le=1_048_576)
    """Rows a training step, of all devices together."""
    early_stopping_patience: int | None = Field(default=3, ge=1)
    """Stop when the eval loss has not fallen for so many epochs, and keep the best weights. null: never."""
    seed: int = Field(default=1, ge=0, le=2**31 - 1)
    """For weights, shuffling and augmentation: two runs on the same data give the same model on the same machine."""
    hyperparameters: dict[str, float | int | str | bool] = {}
    """Passed to build_model as they stand. `learning_rate` is also the optimizer's."""
    distribution: Literal["auto", "none", "mirrored", "multi_worker"] = "auto"
    """Over which devices: auto: all GPUs of the machine, or the CPU, and of all machines on a pool of several nodes; none: one
    device; mirrored: all of the machine, or fail; multi_worker: all of several machines, or fail (docs/guides/training.md)."""
    mixed_precision: bool = False
    """Layers compute in half precision (bfloat16; float16 on GPUs that lack it), weights and outputs stay float32; the released
    model is float32."""
    jit_compile: Literal["auto", True, False] = "auto"
    """Whether XLA compiles the training steps. auto: on one GPU, where the model's layers allow it. Not for a model that
    build_model compiles itself."""


class Threshold(_Section):
    metric: str
    """A metric of this task, e.g. auc, accuracy, rmse (docs/reference/metrics.md)."""
    min: float | None = None
    """The least value that is good enough."""
    max: float | None = None
    """The greatest value that is good enough."""
    slice: str | None = None
    """A column: the bound holds for each of its slices of at least `min_rows` rows. Default: over all rows."""
    min_rows: int = Field(default=100, ge=1)
    """Smaller slices are shown but not judged."""

    @model_validator(mode="after")
    def _has_bound(self) -> Threshold:
        if self.min is None and self.max is None:
            raise ValueError(f"threshold for {self.metric!r} needs min or max")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"threshold for {self.metric!r}: min {self.min} is above max {self.max}")
        if self.metric in BOUNDED_METRICS:
            for bound in (self.min, self.max):
                if bound is not None and not 0 <= bound <= 1:
                    raise ValueError(f"threshold for {self.metric!r} must lie between 0 and 1. Received: {bound}")
        return self


class Champion(_Section):
    metric: str | None = None
    """The metric by which challenger and champion are compared. Default: auc, accuracy, rmse or ndcg_10, by task."""
    max_loss: float = Field(default=0.0, ge=0)
    """How much worse than the champion the challenger may be, in the metric's own unit."""


_RANKING_METRICS = ("ndcg_10", "map", "mrr", "precision_10", "recall_10")
BOUNDED_METRICS = frozenset(
    {"auc", "auc_pr", "accuracy", "precision", "recall", "f1", "macro_f1", "top_3_accuracy", *_RANKING_METRICS}
)
METRICS: dict[Task, tuple[str, ...]] = {
    Task.BINARY: ("auc", "auc_pr", "accuracy", "precision", "recall", "f1", "log_loss", "calibration"),
    Task.MULTICLASS: ("accuracy", "macro_f1", "top_3_accuracy", "log_loss"),
    Task.REGRESSION: ("rmse", "mae", "mape", "r2", "bias"),
    Task.RANKING: _RANKING_METRICS,
}
_DEFAULT_CHAMPION_METRIC = {
    Task.BINARY: "auc",
    Task.MULTICLASS: "accuracy",
    Task.REGRESSION: "rmse",
    Task.RANKING: "ndcg_10",
}
LOWER_IS_BETTER = frozenset({"rmse", "mae", "mape", "log_loss"})


class Evaluation(_Section):
    thresholds: tuple[Threshold, ...] = ()
    """Bounds that a model must keep to be blessed."""
    slices: tuple[str, ...] = ()
    """Columns by whose values every metric is shown too."""
    champion: Champion = Champion()
    """The comparison with the stable release."""


Distance = Annotated[float, Field(ge=0)]


class DriftLimits(_Section):
    psi: Distance | None = None
    """Population stability index: below 0.1 is usually called stable, above 0.25 a shift."""
    kolmogorov_smirnov: Distance | None = Field(default=None, le=1)
    """The largest distance between the distribution functions, 0 to 1; numbers only."""
    jensen_shannon: Distance | None = Field(default=None, le=1)
    """Jensen-Shannon divergence with base 2, 0 to 1."""
    l_infinity: Distance | None = Field(default=None, le=1)
    """The largest change of one value's share, 0 to 1; texts, codes and booleans only."""
    severity: Literal["critical", "warning", "info"] = "warning"
    """Of exceeding a limit; critical stops the run."""


class Drift(_Section):
    limits: DriftLimits = DriftLimits(psi=0.25)
    """Limits of every column that has none of its own."""
    columns: dict[str, DriftLimits] = Field(default_factory=dict)
    """Limits by column, instead of the general ones; `{}` for a column that may move as it likes, such as a month."""
    slices: tuple[str, ...] = ()
    """Columns by whose values the rows are compared separately, too."""
    min_rows: int = Field(default=500, ge=1)
    """Rows that a span, or a slice of it, needs to be compared: a smaller sample says little about a distribution."""
    stale: Literal["critical", "warning", "info"] = "warning"
    """What it means that a span is the one before again: the same bytes, or the same rows in other files or another order."""
    rows: float = Field(default=0.4, ge=0, le=1)
    """By how much of its rows a span may be smaller than the one before without a warning, and by the same ratio larger: 0.4 is
    three fifths to five thirds. 1: any number will do."""
    overlap: Fraction = 0.01
    """Share of eval's rows that may be rows of train, but for the label, without a warning."""
    leakage: float = Field(default=0.99, ge=0.5, le=1)
    """How well one column alone may tell the label without a warning: area under the ROC curve (of amounts, rank correlation), on
    rows that were not looked at before. 1: as well as it likes."""
    association: Fraction = 0.2
    """By how much worse than in the span before one column may tell the label without a warning, in the same measure."""


class Quality(_Section):
    fail_on: Literal["critical", "warning", "never"] = "critical"
    """The least severity of a failed expectation that stops the run."""
    drift: Drift = Drift()
    """How far a span may move from the one before it."""


class InfraValidation(_Section):
    requests: int = Field(default=16, ge=1, le=1024)
    """How many rows of the eval split are replayed against the exported model."""
    timeout_s: int = Field(default=120, ge=1, le=3600)
    """Wall-clock limit of load and replay, in seconds."""
    memory_mb: int = Field(default=4096, ge=256)
    """Memory limit of the validating process, in MiB."""


class Resources(_Section):
    cpu: float | None = Field(default=None, gt=0)
    """CPU cores asked for on Kubeflow."""
    memory: str | None = Field(default=None, pattern=r"^\d+(\.\d+)?(Ki|Mi|Gi|Ti)?$")
    """Memory asked for on Kubeflow, as Kubernetes writes it, e.g. 4Gi."""
    pool: str | None = None
    """GPU pool by name (pipelines/runners/kubeflow/pools.yaml)."""


class Schedule(_Section):
    cron: str | None = None
    """When to retrain, as cron writes it; null: only on new data or by hand."""
    timezone: str = "UTC"
    """Where the clock of `cron` and `quality_cron` stands, e.g. Europe/Berlin. Where summer time begins and ends, a time
    that the day lacks comes an hour later, and one that it has twice comes once."""
    on_new_data: bool = True
    """Whether a new span triggers retraining."""
    quiet_seconds: float = Field(default=3, ge=0, le=3600)
    """A span, or a file for `batch`, counts as whole when nothing of it has changed for so long. A span with `_SUCCESS` is whole
    at once."""
    quality_cron: str | None = "0 5 * * *"
    """When to check the newest span's quality on its own (`data_quality_<workload>`); null: by hand only."""
    retries: int = Field(default=2, ge=0, le=10)
    """How often Airflow tries again what may be retried."""
    timeout_minutes: int = Field(default=120, ge=1)
    """How long a retraining may take before Airflow ends it."""
    deadline_minutes: int | None = Field(default=None, ge=1)
    """A retraining that has not ended so long after it was due raises an alert, and goes on. null: no alert."""
    runner: Literal["local", "kubeflow"] | None = None
    """Where Airflow runs the pipeline: in a process beside Airflow's own, or on Kubeflow Pipelines. null: what TRAINYARD_RUNNER
    says, else local."""

    @field_validator("cron", "quality_cron")
    @classmethod
    def _five_fields(cls, cron: str | None) -> str | None:
        return _cron(cron)

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            zoneinfo.ZoneInfo(name)
        except (KeyError, ValueError, OSError):  # unknown, not a name, the name of a folder
            raise ValueError(
                f"no such time zone; use a name such as UTC or Europe/Berlin. Received: {name!r}"
            ) from None
        return name


class Alerts(_Section):
    email: tuple[str, ...] = ()
    """Who is written to. Without any: TRAINYARD_ALERT_EMAIL, comma-separated."""
    email_connection: str = "smtp_default"
    """Airflow's connection of type smtp."""
    slack_connection: str | None = None
    """Airflow's connection of type Slack Incoming Webhook. Without one: TRAINYARD_ALERT_SLACK."""
    level: Literal["info", "warning", "error"] = "warning"
    """The least that is sent. error: a task failed for good, a deadline passed. warning: trained and not released, rows set
    aside. info: released, deployed. The log has all of them."""

    @field_validator("email")
    @classmethod
    def _addresses(cls, addresses: tuple[str, ...]) -> tuple[str, ...]:
        for address in addresses:
            if not re.fullmatch(r"[^@\s,<>]+@[^@\s,<>]+", address):
                raise ValueError(f"expected addresses such as ml@example.com. Received: {address!r}")
        return addresses


class Batch(_Section):
    uri: str | None = None
    """The files to predict for, as they arrive: a glob pattern or an fsspec URL, e.g. {DATA}/_inbox/{WORKLOAD}/*.csv. null: no
    batch predictions by Airflow."""
    out: str = "{DATA}/_predictions/{WORKLOAD}"
    """Folder of the results: one folder for each file, and index.json over all."""
    release: str = "stable"
    """Which release predicts: stable, canary or a version."""
    keys: tuple[str, ...] = ()
    """Columns that say which row a prediction is for. Default: file and row number."""
    format: Literal["csv", "parquet", "jsonl", "tfrecord"] | None = None
    """How the files are written; null: as `data.format`."""
    cron: str | None = "@daily"
    """When to look for files besides the watching of a folder; null: never."""

    @field_validator("uri", "out")
    @classmethod
    def _known_placeholders(cls, uri: str | None) -> str | None:
        if unknown := sorted(set(re.findall(r"\{(\w+)\}", uri or "")) - {"DATA", "WORKLOAD"}):
            raise ValueError(f"unknown placeholder {{{unknown[0]}}}; use {{DATA}} or {{WORKLOAD}}")
        return uri

    @field_validator("out")
    @classmethod
    def _local(cls, out: str) -> str:
        if "://" in out:
            raise ValueError(f"must be a folder; copy the results on from there. Received: {out!r}")
        return out

    @field_validator("cron")
    @classmethod
    def _five_fields(cls, cron: str | None) -> str | None:
        return _cron(cron)


def _cron(cron: str | None) -> str | None:
    if cron is not None and not cron.startswith("@") and len(cron.split()) != 5:
        raise ValueError(f"cron needs five fields (minute hour day month weekday). Received: {cron!r}")
    return cron


class CanaryStep(_Section):
    share: float = Field(gt=0, le=1)
    """Share of the requests that the canary answers in this step."""
    minutes: float = Field(ge=0, le=1440)
    """How long it is watched. 0: it is asked sample requests and goes on."""


class CanaryLimits(_Section):
    error_rate: Fraction = 0.01
    """Share of the canary's requests that may fail. (Callers do not notice: stable answers instead.)"""
    p99_ms: float = Field(default=1000, gt=0)
    """What the canary's 99th percentile may be, in milliseconds."""
    prediction_drift: Fraction = 0.1
    """How far the canary's predictions may lie from stable's: Jensen-Shannon divergence, 0 (alike) to 1."""
    min_requests: int = Field(default=100, ge=1)
    """With fewer requests in a step its figures prove nothing: the canary is asked sample requests instead."""


class Canary(_Section):
    steps: tuple[CanaryStep, ...] = ()
    """Steps from the first requests to promotion, with growing shares. Default: one of a tenth for `canary_minutes`."""
    limits: CanaryLimits = CanaryLimits()
    """What every step must keep to; passing one rolls the deployment back."""

    @field_validator("steps")
    @classmethod
    def _growing(cls, steps: tuple[CanaryStep, ...]) -> tuple[CanaryStep, ...]:
        shares = [step.share for step in steps]
        if shares != sorted(set(shares)):
            raise ValueError(f"the shares of the steps must grow. Received: {shares}")
        if len(steps) > 20:
            raise ValueError(f"at most 20 steps. Received: {len(steps)}")
        return steps


class KServe(_Section):
    namespace: str = Field(pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")
    """Namespace of the InferenceService."""
    service: str | None = Field(default=None, pattern=r"^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$")
    """Its name. Default: the workload's, with - for _."""
    runtime: str | None = None
    """ServingRuntime that serves it. Default: the one that KServe chooses for TensorFlow."""
    storage: str | None = None
    """The model store as KServe reads it, e.g. pvc://models. Default: TRAINYARD_STORE."""
    connection: str | None = None
    """Airflow connection to Kubernetes: host, and a token as password. Default: the service account of the worker's pod."""
    ingress: str | None = None
    """URL of the ingress gateway, where the services' own names do not resolve; requests carry their name as Host."""
    prometheus: str | None = None
    """URL of the Prometheus that scrapes Knative's revisions. null: a canary is judged by sample requests alone."""


class Serving(_Section):
    latency_budget_ms: float = Field(default=50, gt=0)
    """What one prediction may take at the median, in milliseconds; a deployment above it is rolled back."""
    max_changed_answers: Fraction = 1.0
    """Share of sample requests whose answer may change between stable and canary before a deployment is refused."""
    canary_minutes: float = Field(default=0, ge=0)
    """How long the canary is watched before it becomes stable. For several steps: `canary.steps`."""
    canary: Canary = Canary()
    """How a release takes over from stable, step by step."""
    kserve: KServe | None = None
    """Deploy to KServe's InferenceService. null: to the model servers that follow the store's labels."""

    @model_validator(mode="after")
    def _minutes_once(self) -> Serving:
        if self.canary.steps and self.canary_minutes:
            raise ValueError("canary_minutes is for the one default step; keep canary.steps and remove it")
        return self

    @property
    def canary_steps(self) -> tuple[CanaryStep, ...]:
        """The steps that a deployment takes; at least one."""
        return self.canary.steps or (CanaryStep(share=0.1, minutes=self.canary_minutes),)


BeamValue = bool | int | float | str | tuple[str, ...]


class Workload(_Section):
    """One use case: its data, its model's quality bar, its schedule."""

    name: Name
    """Lower-case letters, digits and underscores; also the served model's name and the DAGs' suffix."""
    task: Task
    """binary, multiclass, regression or ranking."""
    owner: str = "ml-platform"
    """Team or person who answers for this model; shown in Airflow and in every report."""
    description: str = ""
    """One sentence for a reader who has never heard of it."""
    data: Data
    """Where the data lies and what is predicted."""
    training: Training = Training()
    """How the model is fitted."""
    evaluation: Evaluation = Evaluation()
    """What the model must reach to be released."""
    quality: Quality = Quality()
    """How strictly the expectations are taken."""
    infra_validation: InfraValidation = InfraValidation()
    """The load-and-predict check before a release."""
    resources: dict[str, Resources] = {}
    """Per component (its id, e.g. Trainer): what to ask Kubernetes for."""
    schedule: Schedule = Schedule()
    """When to retrain, and where."""
    alerts: Alerts = Alerts()
    """Whom to tell when something goes wrong."""
    batch: Batch = Batch()
    """Predictions for files as they arrive."""
    serving: Serving = Serving()
    """What a deployment must keep to."""
    beam: dict[str, BeamValue] = {}
    """Beam's options, where the data is too much for one process: {runner: FlinkRunner, flink_master: "host:8081"}. A switch is
    `true`, a repeated option a list; `--beam` wins key by key (docs/guides/scaling.md)."""

    @model_validator(mode="after")
    def _metrics_fit_task(self) -> Workload:
        known = METRICS[self.task]
        asked = [t.metric for t in self.evaluation.thresholds] + [self.champion_metric]
        for metric in asked:
            if metric not in known:
                raise ValueError(
                    f"evaluation: metric {metric!r} does not exist for task {self.task}; known: {', '.join(known)}"
                )
        return self

    @model_validator(mode="after")
    def _query_fits_task(self) -> Workload:
        if self.task is Task.RANKING and self.data.query is None:
            raise ValueError("task ranking needs data.query: the column whose rows are ranked against each other")
        if self.task is not Task.RANKING and self.data.query is not None:
            raise ValueError(
                f"data.query is for task ranking. Received: task {self.task}. Remove it, or change the task"
            )
        if self.data.query is not None and self.data.query in (self.data.label.column, *self.data.ignore):
            raise ValueError(
                f"data.query must be a column that is read and not the label. Received: {self.data.query!r}"
            )
        return self

    @model_validator(mode="after")
    def _batch_is_of_files(self) -> Workload:
        if self.batch.uri is not None and self.data.format == "images" and not self.batch.format:
            raise ValueError(
                "batch.uri: an image is a file, and each file would be a run of its own; use `trainyard predict` on their folder"
            )
        return self

    @property
    def split_key(self) -> str | None:
        """The column whose hash decides the split; None where another way is chosen, or the features decide."""
        split = self.data.split
        return split.key or (None if split.time or split.column else self.data.query)

    @property
    def champion_metric(self) -> str:
        return self.evaluation.champion.metric or _DEFAULT_CHAMPION_METRIC[self.task]

    def span_uri(self, span: int | str, data_root: str | os.PathLike[str]) -> str:
        """The files of one span: a path, a glob pattern or a URL that fsspec can read."""
        uri = self.data.uri.replace("{SPAN}", str(span)).replace("{WORKLOAD}", self.name)
        return uri.replace("{DATA}", str(data_root))


def load_workload(folder: str | os.PathLike[str]) -> Workload:
    """Reads and checks `workload.yaml` in a workload's folder.

    Raises:
        WorkloadError: the file is missing, is not YAML, or says something that it may not say.
    """
    path = pathlib.Path(folder) / "workload.yaml"
    try:
        raw = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506
    except FileNotFoundError:
        raise WorkloadError(f"{path}: there is no such file. `trainyard list` shows the workloads.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise WorkloadError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(raw, dict):
        raise WorkloadError(f"{path}: expected fields such as `name:` and `task:`. Received: {type(raw).__name__}")
    try:
        workload = Workload.model_validate(raw)
    except pydantic.ValidationError as error:
        raise WorkloadError("\n".join(explain(path, problem) for problem in error.errors())) from None
    if workload.name != path.parent.name:
        raise WorkloadError(
            f"{path}, field name: must equal its folder, {path.parent.name!r}. Received: {workload.name!r}"
        )
    return workload


def workload_names(folder: str | os.PathLike[str]) -> list[str]:
    """The workloads in a folder of workloads, sorted."""
    return sorted(path.parent.name for path in pathlib.Path(folder).glob("*/workload.yaml"))


def explain(path: pathlib.Path, problem: Any, model: type[BaseModel] = Workload) -> str:
    """One pydantic problem as one line for the author of the file that was to be a `model`."""
    guide = "docs/reference/workload.md" if model is Workload else "the guide has an example"
    field = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        return f"{path}, field {field}: there is no such field. {_known_fields(problem['loc'], model)}"
    if problem["type"] == "missing":
        return f"{path}, field {field}: is required and missing. Add it ({guide})."
    message = problem["msg"].removeprefix("Value error, ")
    received = (
        "" if isinstance(problem["input"], dict) or "Received" in message else f" Received: {problem['input']!r}."
    )
    # A rule over several fields has no place of its own; its message names them.
    return f"{path}, field {field}: {message}.{received}" if field else f"{path}: {message}.{received}"


def _known_fields(location: tuple[Any, ...], model: type[BaseModel]) -> str:
    """Names the fields of the section in which an unknown one was found."""
    section: Any = model
    for part in location[:-1]:
        if isinstance(part, str) and part in getattr(section, "model_fields", {}):
            section = section.model_fields[part].annotation
            arguments = getattr(section, "__args__", ())
            section = next((a for a in arguments if hasattr(a, "model_fields")), section)
    fields = getattr(section, "model_fields", None)
    return f"Known: {', '.join(fields)}." if fields else "Remove it."
