# The Airflow image: Trainyard's DAGs and the providers for a cluster, as user 50000 of group 0 on Debian 13, as the official Helm
# chart expects. It trains nothing itself; the DAGs' work runs in the pipeline image.
#   docker/build airflow            (docs/guides/containers.md)
ARG BASE=debian:trixie-slim

FROM ${BASE} AS system
# dumb-init: a process 1 that passes signals on and reaps the orphans of killed tasks.
RUN --mount=type=bind,source=docker/steps/system.sh,target=/system.sh \
    sh /system.sh airflow 50000 0 /opt/airflow dumb-init

FROM system AS environment
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt \
    UV_PYTHON_DOWNLOADS=never UV_LINK_MODE=copy UV_PROJECT_ENVIRONMENT=/opt/venv
WORKDIR /build
# Dependencies only: these layers are reused until the lock changes.
COPY pyproject.toml uv.lock bootstrap/fetch_uv.py docker/steps/environment.sh ./
# Installed as a distribution: Airflow finds providers by their entry points.
COPY airflow_kubeflow ./airflow_kubeflow
ARG GROUPS="airflow airflow-cluster"
RUN --mount=type=secret,id=ca,target=/etc/ssl/certs/ca-certificates.crt \
    --mount=type=secret,id=index \
    --mount=type=cache,target=/root/.cache/uv \
    sh environment.sh ${GROUPS}

FROM system AS app
ARG SOURCE_DATE_EPOCH=315532800
COPY airflow_kubeflow /image/opt/trainyard/airflow_kubeflow
COPY answering /image/opt/trainyard/answering
# Of the components their records alone are loaded, and the classes of the tasks.
COPY components /image/opt/trainyard/components
COPY dags /image/opt/trainyard/dags
COPY embedded /image/opt/trainyard/embedded
COPY landing /image/opt/trainyard/landing
COPY model_store /image/opt/trainyard/model_store
COPY pipelines /image/opt/trainyard/pipelines
COPY quality /image/opt/trainyard/quality
COPY schemas /image/opt/trainyard/schemas
COPY spec /image/opt/trainyard/spec
COPY storage /image/opt/trainyard/storage
COPY tracing /image/opt/trainyard/tracing
COPY vector_index /image/opt/trainyard/vector_index
COPY docker/steps/airflow.cfg /image/opt/airflow/airflow.cfg
COPY docker/steps/airflow-entrypoint.sh /image/entrypoint
COPY docker/steps/airflow-clean-logs.sh /image/clean-logs
RUN --mount=type=bind,source=docker/steps/app.sh,target=/app.sh \
    chmod +x /image/entrypoint /image/clean-logs && sh /app.sh ${SOURCE_DATE_EPOCH}

FROM environment AS sbom
ARG TRAINYARD_CODE_REVISION=""
ARG SOURCE_DATE_EPOCH=315532800
COPY docker/steps/sbom.py ./
RUN python3 sbom.py --name trainyard-airflow --groups "${GROUPS}" --environment /image/opt/venv --output /sbom

FROM system AS image
COPY --from=environment /image/ /
COPY --from=app /image/ /
COPY --from=sbom /sbom/ /
# Airflow's default DAG folder is a link to ours, which a mount or a bundle can replace. Group 0 may write, so that any user id in it
# works.
RUN install -d -m 775 -o 50000 -g 0 /opt/airflow /opt/airflow/logs /var/lib/trainyard \
 && ln -s /opt/trainyard/dags /opt/airflow/dags
ARG TRAINYARD_CODE_REVISION=""
ARG VERSION=""
ARG CREATED=""
LABEL org.opencontainers.image.title="trainyard-airflow" \
      org.opencontainers.image.description="Airflow with Trainyard's DAGs: retraining and deployment of every workload" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${TRAINYARD_CODE_REVISION}" \
      org.opencontainers.image.created="${CREATED}"
ENV PATH=/opt/venv/bin:$PATH PYTHONPATH=/opt/trainyard PYTHONSAFEPATH=1 PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    AIRFLOW_HOME=/opt/airflow \
    TRAINYARD_ROOT=/opt/trainyard TRAINYARD_HOME=/var/lib/trainyard TRAINYARD_CODE_REVISION=${TRAINYARD_CODE_REVISION}
WORKDIR /opt/airflow
USER 50000:0
EXPOSE 8080
ENTRYPOINT ["/usr/bin/dumb-init", "--", "/entrypoint"]
CMD ["--help"]
