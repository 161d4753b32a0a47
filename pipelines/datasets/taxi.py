"""Chicago taxi trips, as they ship inside the TFX package: no network is needed."""

from __future__ import annotations

import csv
import importlib.util
import pathlib
import statistics

from pipelines.datasets._dataset import Dataset
from spec.errors import InputError

_IN_TFX = "examples/chicago_taxi_pipeline/data/big_tipper_label/data.csv"
_TIME = "trip_start_timestamp"


def _source() -> pathlib.Path:
    # Found without importing TFX, which would take ten seconds.
    spec = importlib.util.find_spec("tfx")
    for root in (spec.submodule_search_locations or ()) if spec else ():
        path = pathlib.Path(root) / _IN_TFX
        if path.is_file():
            return path
    raise InputError(
        f"data set taxi: tfx/{_IN_TFX} was not found in this Python environment. "
        "Run `./trainyard setup pipelines`, or use that environment's Python."
    )


def _write(span: int, folder: pathlib.Path) -> None:
    """Splits at the median start time: span 1 is the older half, span 2 the newer; trips keep the file's order."""
    with _source().open(newline="", encoding="utf-8") as file:
        header, *trips = csv.reader(file)
    time = header.index(_TIME)
    median = statistics.median_low(int(trip[time]) for trip in trips)
    chosen = (trip for trip in trips if (int(trip[time]) <= median) == (span == 1))
    with (folder / "trips.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(chosen)


DATASET = Dataset(
    name="taxi",
    description="15,002 taxi trips in Chicago, 2013 to 2016, each with whether the tip was above 20 % of the fare.",
    source="https://data.cityofchicago.org/Transportation/Taxi-Trips/wrvz-psew (sample shipped with TFX)",
    licence="City of Chicago terms of use",
    spans=range(1, 3),
    write=_write,
)
