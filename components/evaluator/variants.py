"""Compressed variants of the challenger: the same evaluation, what they lose against it, how large and how quick they are."""

from __future__ import annotations

import dataclasses
import pathlib
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pyarrow as pa

from components.evaluator.bars import figure
from components.evaluator.config import EvaluationConfig
from components.evaluator.findings import Findings
from components.evaluator.judgement import bar_checks, predictions_fit
from components.evaluator.latency import SIZES, latencies
from components.gates import CheckResult, Severity
from model_store import KERAS_FILE
from spec.errors import InputError
from spec.workload import Variant

_JUDGED_ROWS = max(SIZES)
_CHUNK = 2**20
_ROUNDING = 1e-9


@dataclasses.dataclass(frozen=True)
class Measured:
    """A model, or a variant of it.

    Attributes:
        value: of the metric that models are compared by; None where it is undefined.
        bytes: of its files.
        compressed: the same, compressed: what zeros in place of weights save shows only here.
        seconds: of a request, by its rows.
    """

    value: float | None
    bytes: int
    compressed: int
    seconds: dict[int, float]

    def plain(self) -> dict[str, Any]:
        """As metrics.json has it."""
        return {
            "value": self.value,
            "bytes": self.bytes,
            "compressed_bytes": self.compressed,
            "milliseconds": {str(rows): 1000 * seconds for rows, seconds in self.seconds.items()},
        }


@dataclasses.dataclass(frozen=True)
class Compared:
    """A variant beside the model that it was made of.

    Attributes:
        checks: whether it keeps to its limits.
    """

    variant: Variant
    found: Measured
    original: Measured
    loss: float | None
    checks: tuple[CheckResult, ...]

    @property
    def size(self) -> float:
        """Compressed, as a share of the model's own."""
        return self.found.compressed / self.original.compressed

    def latency(self, rows: int) -> float:
        """Of a request of so many rows, as a share of what the model itself takes."""
        return self.found.seconds[rows] / self.original.seconds[rows]

    def plain(self) -> dict[str, Any]:
        """As metrics.json has it."""
        one = self.variant
        return {
            **{"name": one.name, "method": one.method, "loss": self.loss, "size": self.size},
            "latency": {str(rows): self.latency(rows) for rows in SIZES},
            **{"max_loss": one.max_loss, "max_size": one.max_size, "max_latency": one.max_latency},
            "passes": all(check.passes or check.severity is not Severity.CRITICAL for check in self.checks),
            **self.found.plain(),
        }


class Variants:
    """The variants of a challenger, once they are examined.

    Args:
        folder: with a SavedModel folder for each variant, by its name.
        challenger: SavedModel folder of the model that they were made of.
        outcome: of the challenger.
        evaluate: finds out about a SavedModel on the same rows.
        rows: raw columns that the models take.
    """

    def __init__(
        self,
        folder: pathlib.Path,
        challenger: pathlib.Path,
        outcome: Findings,
        config: EvaluationConfig,
        evaluate: Callable[[pathlib.Path], Findings],
        rows: pa.RecordBatch,
    ) -> None:
        self._config, self.compared, self._broken = config, list[Compared](), list[CheckResult]()
        findings: dict[str, Findings] = {}
        for one in config.variants:
            try:
                findings[one.name] = evaluate(folder / one.name)
            except InputError as error:
                self._broken.append(CheckResult(f"variant {one.name}", False, message=f"variant {one.name}: {error}"))
        folders = {"": challenger} | {name: folder / name for name in findings}
        seconds = latencies(folders, rows)
        found = {
            name: Measured(_value(one, config), *_sizes(folders[name]), seconds[name])
            for name, one in ({"": outcome} | findings).items()
        }
        self.original = found[""]
        for one in config.variants:
            if one.name in findings:
                self.compared.append(_compared(one, found[one.name], self.original, findings[one.name], config))

    @property
    def checks(self) -> Sequence[CheckResult]:
        """Of all of them."""
        return [*self._broken, *(check for one in self.compared for check in one.checks)]

    def plain(self) -> dict[str, Any]:
        """As metrics.json has it."""
        original, metric = self.original.plain(), self._config.champion_metric.name
        return {"metric": metric, "original": original, "variants": [one.plain() for one in self.compared]}


def _compared(
    variant: Variant, found: Measured, original: Measured, outcome: Findings, config: EvaluationConfig
) -> Compared:
    metric = config.champion_metric
    loss = None if found.value is None or original.value is None else metric.loss(found.value, original.value)
    plain = Compared(variant, found, original, loss, ())
    checks = [
        *(predictions_fit(outcome), *bar_checks(outcome, config)),
        *(_loss_check(plain, config), _size_check(plain), *_latency_checks(plain)),
    ]
    named = (
        dataclasses.replace(
            one,
            name=f"variant {variant.name}: {one.name}",
            # Of what was not judged the name is told beside it.
            message=f"variant {variant.name}: {one.message or one.name}" if one.judged else one.message,
        )
        for one in checks
    )
    return dataclasses.replace(plain, checks=tuple(named))


def _loss_check(found: Compared, config: EvaluationConfig) -> CheckResult:
    metric, most = config.champion_metric.name, found.variant.max_loss
    name = f"{metric} against the model"
    if found.loss is None:
        why = f"{metric} is undefined on this test split; give more data, or compare by another metric"
        return CheckResult.not_judged(name, why, config.unjudged_severity)
    sense = "worse than" if found.loss > _ROUNDING else "better than" if found.loss < -_ROUNDING else "different from"
    message = (
        f"{metric} {figure(found.found.value)} is {figure(abs(found.loss))} {sense} the model's own {figure(found.original.value)}; "
        f"at most {most:g} worse is allowed"
    )
    passes = found.loss <= most + _ROUNDING
    return CheckResult(name, passes, message=message + ("" if passes else _mend("max_loss")))


def _size_check(found: Compared) -> CheckResult:
    most = found.variant.max_size
    message = (
        f"compressed it has {found.found.compressed:,} bytes, {found.size:.2f} of the model's {found.original.compressed:,}; at most "
        f"{most:g} is allowed"
    )
    passes = found.size <= most
    return CheckResult("size", passes, message=message + ("" if passes else _mend("max_size")))


def _latency_checks(found: Compared) -> list[CheckResult]:
    most, share = found.variant.max_latency, found.latency(_JUDGED_ROWS)
    if most is None:
        return []
    message = (
        f"{_JUDGED_ROWS} rows take {1000 * found.found.seconds[_JUDGED_ROWS]:.2f} ms, {share:.2f} of the model's "
        f"{1000 * found.original.seconds[_JUDGED_ROWS]:.2f} ms; at most {most:g} is allowed"
    )
    passes = share <= most
    return [CheckResult("latency", passes, message=message + ("" if passes else _mend("max_latency")))]


def _mend(field: str) -> str:
    return f". Take another method, or raise its {field} under export.variants"


def _value(outcome: Findings, config: EvaluationConfig) -> float | None:
    sums = outcome.challenger.sums
    return None if sums is None else outcome.task.value(config.champion_metric.name, sums)


def _sizes(saved_model: pathlib.Path) -> tuple[int, int]:
    """Bytes, and compressed bytes, of what serves."""
    size = compressed = 0
    for path in sorted(one for one in saved_model.rglob("*") if one.is_file()):
        if path.relative_to(saved_model).as_posix() != KERAS_FILE:
            size += path.stat().st_size
            compressed += sum(map(len, _compressed(path)))
    return size, compressed


def _compressed(path: pathlib.Path) -> Iterator[bytes]:
    compressor = zlib.compressobj()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield compressor.compress(chunk)
    yield compressor.flush()
