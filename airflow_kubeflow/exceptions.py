"""What can go wrong, told apart by what Airflow should do about it."""

from __future__ import annotations

from airflow.sdk.exceptions import AirflowException, AirflowFailException


class KubeflowUserError(AirflowFailException):
    """Something a person has to mend: a parameter, a token, the input of a pipeline. The task fails and is not retried."""


class KubeflowUnavailable(AirflowException):
    """KFP does not answer, or not now. May be tried again.

    Attributes:
        sent: the request may have reached KFP all the same.
    """

    def __init__(self, message: str, sent: bool = False) -> None:
        super().__init__(message)
        self.sent = sent


class KubeflowRunFailed(AirflowException):
    """The remote run failed. A retry of the task starts a fresh one."""


class KubeflowRunTimeout(AirflowException):
    """The remote run was longer at work than it may be, and was terminated."""
