"""When and where a workload runs, whom it tells, and how its releases come to be used."""

from __future__ import annotations

import re
import zoneinfo
from typing import Literal

from pydantic import Field, field_validator, model_validator

from spec.section import ColumnOfFiles, Fraction, Section
from spec.workload._cron import five_fields
from spec.workload._placeholders import known_placeholders

MINUTES_OF_A_YEAR = 525_600


class Resources(Section):
    cpu: float | None = Field(default=None, gt=0)
    """CPU cores asked for on Kubeflow."""
    memory: str | None = Field(default=None, pattern=r"^\d+(\.\d+)?(Ki|Mi|Gi|Ti)?$")
    """Memory asked for on Kubeflow, as Kubernetes writes it, e.g. 4Gi."""
    pool: str | None = None
    """GPU pool by name (pipelines/runners/kubeflow/pools.yaml)."""


class Schedule(Section):
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
    timeout_minutes: int = Field(default=120, ge=1, le=MINUTES_OF_A_YEAR)
    """How long a retraining may take before Airflow ends it."""
    deadline_minutes: int | None = Field(default=None, ge=1, le=MINUTES_OF_A_YEAR)
    """A retraining that has not ended so long after it was due raises an alert, and goes on. null: no alert."""
    runner: Literal["local", "kubeflow"] | None = None
    """Where Airflow runs the pipeline: in a process beside Airflow's own, or on Kubeflow Pipelines. null: what TRAINYARD_RUNNER
    says, else local."""

    @field_validator("cron", "quality_cron")
    @classmethod
    def _five_fields(cls, cron: str | None) -> str | None:
        return five_fields(cron)

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


class Alerts(Section):
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


class Batch(Section):
    uri: str | None = None
    """The files to predict for, as they arrive: a glob pattern or an fsspec URL, e.g. {DATA}/_inbox/{WORKLOAD}/*.csv. null: no
    batch predictions by Airflow."""
    out: str = "{DATA}/_predictions/{WORKLOAD}"
    """Folder of the results: one folder for each file, and index.json over all."""
    release: str = "stable"
    """Which release predicts: stable, canary or a version."""
    keys: tuple[ColumnOfFiles, ...] = ()
    """Columns that say which row a prediction is for. Default: file and row number."""
    format: Literal["csv", "xlsx", "parquet", "jsonl", "json", "tfrecord"] | None = None
    """How the files are written; null: as `data.format`."""
    cron: str | None = "@daily"
    """When to look for files besides the watching of a folder; null: never."""

    @field_validator("uri", "out")
    @classmethod
    def _known_placeholders(cls, uri: str | None) -> str | None:
        return uri if uri is None else known_placeholders(uri)

    @field_validator("out")
    @classmethod
    def _local(cls, out: str) -> str:
        if "://" in out:
            raise ValueError(f"must be a folder; copy the results on from there. Received: {out!r}")
        return out

    @field_validator("cron")
    @classmethod
    def _five_fields(cls, cron: str | None) -> str | None:
        return five_fields(cron)


class CanaryStep(Section):
    share: float = Field(gt=0, le=1)
    """Share of the requests that the canary answers in this step."""
    minutes: float = Field(ge=0, le=1440)
    """How long it is watched. 0: it is asked sample requests and goes on."""


class CanaryLimits(Section):
    error_rate: Fraction = 0.01
    """Share of the canary's requests that may fail. (Callers do not notice: stable answers instead.)"""
    p99_ms: float = Field(default=1000, gt=0)
    """What the canary's 99th percentile may be, in milliseconds."""
    prediction_drift: Fraction = 0.1
    """How far the canary's predictions may lie from stable's: Jensen-Shannon divergence, 0 (alike) to 1."""
    min_requests: int = Field(default=100, ge=1)
    """With fewer requests in a step its figures prove nothing: the canary is asked sample requests instead."""


class Canary(Section):
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


class KServe(Section):
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


class Serving(Section):
    latency_budget_ms: float = Field(default=50, gt=0)
    """What one prediction may take at the median, in milliseconds; a deployment above it is rolled back."""
    max_changed_answers: Fraction = 1.0
    """Share of sample requests whose answer may change between stable and canary before a deployment is refused."""
    canary_minutes: float = Field(default=0, ge=0, le=MINUTES_OF_A_YEAR)
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
