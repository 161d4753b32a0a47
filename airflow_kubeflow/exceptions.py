"""What can go wrong, by what Airflow should do about it."""

from __future__ import annotations

from airflow.sdk.exceptions import AirflowException, AirflowFailException


class KubeflowUserError(AirflowFailException):
    """Something that the user has to correct: a parameter, a token, the input of a pipeline. The task is not retried."""


class KubeflowUnavailable(AirflowException):
    """KFP does not answer at the moment. The task may be retried.

    Attributes:
        sent: the request may have reached KFP nevertheless.
    """

    def __init__(self, message: str, sent: bool = False) -> None:
        super().__init__(message)
        self.sent = sent


class KubeflowRunFailed(AirflowException):
    """The remote run failed. A retry of the task starts a fresh one."""


class KubeflowRunTimeout(AirflowException):
    """The remote run took longer than allowed, and was terminated."""
