"""The platform on one machine: Airflow, its DAGs, the model server and the reports, under one supervisor."""

from __future__ import annotations


def up(
    airflow_port: int | None = None,
    rest_port: int | None = None,
    grpc_port: int | None = None,
    reports_port: int | None = None,
    workloads: tuple[str, ...] = (),
    database: str | None = None,
) -> int:
    """Starts the platform and keeps it running until it is asked to stop; returns the exit code."""
    from embedded.commands import up as run

    return run(airflow_port, rest_port, grpc_port, reports_port, workloads, database)


def demo() -> int:
    """Shows the whole loop on the taxi data and stops everything; returns the exit code."""
    from embedded.demonstration import demo as run

    return run()


def status() -> int:
    """Prints what runs and how it is; returns the exit code."""
    from embedded.commands import status as run

    return run()


def down() -> int:
    """Stops the platform; returns the exit code."""
    from embedded.commands import down as run

    return run()
