"""The link from a task in Airflow to its run in KFP."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import BaseOperatorLink
from airflow.sdk.execution_time.xcom import XCom

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey

XCOM_UI = "kubeflow_ui"


class KubeflowRunLink(BaseOperatorLink):
    """Opens the page of the remote run. It appears as soon as the run has been submitted."""

    name = "Kubeflow run"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """The URL; empty until there is a run."""
        return str(XCom.get_value(ti_key=ti_key, key=XCOM_UI) or "")
