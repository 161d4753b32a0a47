# The model server's image: TensorFlow without TFX, as one non-root user on Debian 13.
#   docker/build serving            (docs/guides/containers.md)
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
ARG GROUPS="serving"
RUN --mount=type=secret,id=ca,target=/etc/ssl/certs/ca-certificates.crt \
    --mount=type=secret,id=index \
    --mount=type=cache,target=/root/.cache/uv \
    sh environment.sh ${GROUPS}

FROM system AS app
ARG SOURCE_DATE_EPOCH=315532800
COPY answering /image/opt/trainyard/answering
COPY model_store /image/opt/trainyard/model_store
COPY serving /image/opt/trainyard/serving
COPY spec /image/opt/trainyard/spec
COPY storage /image/opt/trainyard/storage
COPY tracing /image/opt/trainyard/tracing
COPY vector_index /image/opt/trainyard/vector_index
RUN --mount=type=bind,source=docker/steps/app.sh,target=/app.sh sh /app.sh ${SOURCE_DATE_EPOCH}

FROM environment AS sbom
ARG TRAINYARD_CODE_REVISION=""
ARG SOURCE_DATE_EPOCH=315532800
COPY docker/steps/sbom.py ./
RUN python3 sbom.py --name trainyard-serving --groups "${GROUPS}" --environment /image/opt/venv --output /sbom

FROM system AS image
COPY --from=environment /image/ /
COPY --from=app /image/ /
COPY --from=sbom /sbom/ /
ARG TRAINYARD_CODE_REVISION=""
ARG VERSION=""
ARG CREATED=""
LABEL org.opencontainers.image.title="trainyard-serving" \
      org.opencontainers.image.description="Trainyard's model server: releases over TensorFlow Serving's REST and gRPC" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${TRAINYARD_CODE_REVISION}" \
      org.opencontainers.image.created="${CREATED}"
ENV PATH=/opt/venv/bin:$PATH PYTHONPATH=/opt/trainyard PYTHONSAFEPATH=1 PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    TRAINYARD_CODE_REVISION=${TRAINYARD_CODE_REVISION}
WORKDIR /opt/trainyard
USER 10001:10001
EXPOSE 8500 8501
# The server writes its ports to this file once every model is loaded.
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s CMD ["python", "-c", "\
import json, urllib.request as r; port = json.load(open('/tmp/ready.json'))['rest']; r.urlopen(f'http://127.0.0.1:{port}/healthz', timeout=2)"]
# Mount the store here, or name it: docker run ... trainyard-serving --store s3://models --host 0.0.0.0
ENTRYPOINT ["python", "-m", "serving", "--ready-file", "/tmp/ready.json"]
CMD ["--store", "/models", "--host", "0.0.0.0"]
