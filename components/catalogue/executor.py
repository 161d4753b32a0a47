from __future__ import annotations

import json
import pathlib
from typing import Any

from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils

from components.artifacts import ROWS_IN, ROWS_OUT, Artifacts, measured
from components.columnar import count_rows, read_batches
from spec.splits import EVAL, TRAIN

ITEMS, QUERIES = "items", "queries"


class Executor(base_executor.BaseExecutor):
    """Writes the items of train, how often each occurs, and what each query has had."""

    def Do(self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: dict[str, Any]) -> None:
        """Reads `examples`; writes `catalogue`.

        Raises:
            InputError: an item or a query is missing, or is of a type that is none of an id's.
        """
        from components.tasks.catalogue import Catalogue

        self._log_startup(input_dict, output_dict, exec_properties)
        examples = artifact_utils.get_single_uri(input_dict["examples"])
        artifact = artifact_utils.get_single_instance(output_dict["catalogue"])
        with measured(output_dict) as rows:
            found = Catalogue.of(
                lambda split: lambda columns: read_batches(examples, split, list(columns)),
                exec_properties["item"] or None,
                json.loads(exec_properties["columns"]),
                exec_properties["query"] or None,
            )
            found.write(pathlib.Path(artifact.uri))
            artifact.set_int_custom_property(ITEMS, len(found))
            artifact.set_int_custom_property(QUERIES, len(found.seen.keys))
            rows[ROWS_IN] = sum(count_rows(examples, split) for split in (TRAIN, EVAL))
            rows[ROWS_OUT] = len(found)
