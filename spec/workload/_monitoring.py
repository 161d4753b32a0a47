"""How well the model has to do once it is used, by labels that come later, and what is done where it does not."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from spec.section import Section
from spec.workload._cron import five_fields
from spec.workload._model import Bound
from spec.workload._placeholders import known_placeholders

HOURS_OF_A_YEAR = 8_784


class Live(Section):
    """What labels say of the answers that a model gave (docs/guides/monitoring.md)."""

    metrics: tuple[Bound, ...] = ()
    """Bounds that the stable release must keep on the requests that it answered. The same metrics as of `evaluation.thresholds`."""
    window_hours: int = Field(default=168, ge=1, le=HOURS_OF_A_YEAR)
    """How far back answers count, by when they were given. The model server keeps its record for `--record-days`."""
    min_rows: int = Field(default=200, ge=10)
    """Rows with a label that it takes to judge a version; with fewer nothing is said of it."""
    confidence: float = Field(default=0.99, ge=0.5, lt=1)
    """How sure it has to be that a bound is broken, and not by chance on these rows (one-sided). Higher than `evaluation.confidence`,
    because it is asked again and again."""
    then: Literal["alert", "retrain", "rollback"] = "alert"
    """What is done when a bound is surely broken, by Airflow or `trainyard live --act`; people are always told. alert: no more than
    that. retrain: a retraining is started, once for each version and metric. rollback: the release before is made stable again, unless
    its own live metrics are known to be no better, and not twice in a row."""
    feedback: str = "{DATA}/_feedback/{WORKLOAD}/*"
    """Where files with labels land: a glob pattern or an fsspec URL. Airflow takes in those that it has not seen."""

    @field_validator("metrics")
    @classmethod
    def _each_once(cls, metrics: tuple[Bound, ...]) -> tuple[Bound, ...]:
        names = [one.metric for one in metrics]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(
                f"metric {twice!r} is bounded twice; say min and max in one of the two, and remove the other"
            )
        return metrics

    @field_validator("feedback")
    @classmethod
    def _known_placeholders(cls, uri: str) -> str:
        return known_placeholders(uri)


class Monitoring(Section):
    cron: str | None = "30 5 * * *"
    """When to look at requests and labels (`monitor_<workload>`), in `schedule.timezone`; null: by hand only."""
    live: Live = Live()
    """How well the model has to do."""

    @field_validator("cron")
    @classmethod
    def _five_fields(cls, cron: str | None) -> str | None:
        return five_fields(cron)
