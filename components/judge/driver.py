from __future__ import annotations

from collections.abc import Mapping

from tfx.orchestration.portable import data_types

from components.release_importer import driver
from spec.errors import InputError


class Driver(driver.Driver):
    """Looks the judge up when the run begins: without it, hours of training could not be judged."""

    def properties(self, execution_info: data_types.ExecutionInfo) -> Mapping[str, int | str]:
        try:
            return super().properties(execution_info)
        except InputError as error:
            name = execution_info.exec_properties["model_name"]
            raise InputError(
                f"evaluation.judge: {error.problem} Release it (`trainyard run {name}`, then `trainyard release promote {name} 1`), "
                "or name another release."
            ) from error
