# The pipeline image: TFX and every component, as one non-root user on Debian 13. Targets: cpu (the default) and gpu.
#   docker/build pipeline | pipeline-gpu            (docs/guides/containers.md)
ARG BASE=debian:trixie-slim

FROM ${BASE} AS system
RUN --mount=type=bind,source=docker/steps/system.sh,target=/system.sh \
    sh /system.sh trainyard 10001 10001 /home/trainyard

FROM system AS environment
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt \
    UV_PYTHON_DOWNLOADS=never UV_LINK_MODE=copy UV_PROJECT_ENVIRONMENT=/opt/venv
WORKDIR /build
# Dependencies only: these layers are reused until the lock changes.
COPY pyproject.toml uv.lock bootstrap/fetch_uv.py docker/steps/environment.sh ./
# The gpu target needs "pipelines gpu".
ARG GROUPS="pipelines"
RUN --mount=type=secret,id=ca,target=/etc/ssl/certs/ca-certificates.crt \
    --mount=type=secret,id=index \
    --mount=type=cache,target=/root/.cache/uv \
    sh environment.sh ${GROUPS}

FROM system AS app
ARG SOURCE_DATE_EPOCH=315532800
COPY answering /image/opt/trainyard/answering
COPY benchmarks /image/opt/trainyard/benchmarks
COPY cli /image/opt/trainyard/cli
COPY components /image/opt/trainyard/components
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
RUN --mount=type=bind,source=docker/steps/app.sh,target=/app.sh sh /app.sh ${SOURCE_DATE_EPOCH}

FROM environment AS sbom
ARG IMAGE=trainyard
ARG TRAINYARD_CODE_REVISION=""
ARG SOURCE_DATE_EPOCH=315532800
COPY docker/steps/sbom.py ./
RUN python3 sbom.py --name "${IMAGE}" --groups "${GROUPS}" --environment /image/opt/venv --output /sbom

FROM system AS image
RUN install -d -o trainyard -g trainyard /var/lib/trainyard
COPY --from=environment /image/ /
COPY --from=app /image/ /
COPY --from=sbom /sbom/ /
ARG IMAGE=trainyard
ARG TRAINYARD_CODE_REVISION=""
ARG VERSION=""
ARG CREATED=""
LABEL org.opencontainers.image.title="${IMAGE}" \
      org.opencontainers.image.description="Trainyard's pipelines: every TFX component, the CLI, and the node that Kubeflow runs" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${TRAINYARD_CODE_REVISION}" \
      org.opencontainers.image.created="${CREATED}"
# Without a revision the Kubeflow node refuses to run, because its lineage would name no code.
ENV PATH=/opt/venv/bin:$PATH PYTHONPATH=/opt/trainyard PYTHONSAFEPATH=1 PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    TRAINYARD_ROOT=/opt/trainyard TRAINYARD_HOME=/var/lib/trainyard TRAINYARD_CODE_REVISION=${TRAINYARD_CODE_REVISION}
WORKDIR /opt/trainyard
USER 10001:10001
ENTRYPOINT ["python", "-m", "cli.main"]
CMD ["--help"]

FROM image AS gpu
USER root
# TensorFlow finds CUDA's libraries, which its wheels bring, through the loader; XLA finds ptxas through PATH.
RUN ls -d /opt/venv/lib/python3.*/site-packages/nvidia/*/lib >/etc/ld.so.conf.d/cuda-wheels.conf \
 && ldconfig && rm -f /var/cache/ldconfig/aux-cache \
 && ln -s /opt/venv/lib/python3.*/site-packages/nvidia/cuda_nvcc /opt/cuda
ENV PATH=/opt/cuda/bin:$PATH NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
USER 10001:10001

FROM image AS cpu
