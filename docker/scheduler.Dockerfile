# Airflow's scheduler together with the pipelines, for a single machine, where a DAG's pipeline is a child process of the scheduler
# (docs/decisions/0013-compose.md). Combines the two images, which must have the same revision; nothing is downloaded.
#   docker build -t trainyard-scheduler -f docker/scheduler.Dockerfile docker
ARG PIPELINE_IMAGE=trainyard:latest
ARG AIRFLOW_IMAGE=trainyard-airflow:latest

FROM ${PIPELINE_IMAGE} AS pipeline

FROM ${AIRFLOW_IMAGE}
COPY --from=pipeline /opt/venv /opt/environments/pipelines
COPY --from=pipeline /opt/trainyard /opt/trainyard
# Where the DAGs' operators look for the pipelines' Python.
ENV TRAINYARD_VENVS=/opt/environments
