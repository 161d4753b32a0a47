"""What an earlier attempt of the same node in the same run left in the metadata store."""

from __future__ import annotations

import time
from typing import Any

from ml_metadata.proto import metadata_store_pb2 as mlmd

from pipelines.metadata.connecting import open_once, patiently

# Properties of an execution: the message of a failure that a retry would only repeat, and when it happened.
NEVER_RETRY = "trainyard_never_retry"
NEVER_RETRY_AT = "trainyard_never_retry_at"
# KFP restarts a failed pod within minutes. A person who mends the input and presses "Retry" takes longer.
NEVER_RETRY_HOLDS_S = 900


class RunExecutions:
    """The execution of one node in one run, as MLMD has it. There is at most one."""

    def __init__(self, config: mlmd.ConnectionConfig, run_id: str, node_context: str) -> None:
        self._config, self._run_id, self._node = config, run_id, node_context

    def find(self, store: Any) -> mlmd.Execution | None:
        """The execution that an earlier attempt registered, if there was one."""
        run = store.get_context_by_type_and_name("pipeline_run", self._run_id)
        if run is None:
            return None
        for execution in store.get_executions_by_context(run.id):
            if any(context.name == self._node for context in store.get_contexts_by_execution(execution.id)):
                return execution  # type: ignore[no-any-return]
        return None

    def never_retry(self) -> str | None:
        """The message of an earlier attempt of this pod, if a retry can only fail again."""

        def look() -> str | None:
            execution = self.find(open_once(self._config))
            if execution is None or NEVER_RETRY not in execution.custom_properties:
                return None
            age = time.time() - execution.custom_properties[NEVER_RETRY_AT].int_value
            return execution.custom_properties[NEVER_RETRY].string_value if age < NEVER_RETRY_HOLDS_S else None

        return patiently(look)

    def set_never_retry(self, message: str) -> None:
        """Notes that a retry would fail again."""

        def note() -> None:
            store = open_once(self._config)
            if (execution := self.find(store)) is not None:
                execution.custom_properties[NEVER_RETRY].string_value = message
                execution.custom_properties[NEVER_RETRY_AT].int_value = int(time.time())
                store.put_executions([execution])

        patiently(note)
