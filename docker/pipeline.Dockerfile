# The pipeline image: TFX and every component, as one non-root user on Debian 13.
#   docker build -t trainyard -f docker/pipeline.Dockerfile .
# Behind a company's own CA: add --secret id=ca,src=/etc/ssl/certs/ca-certificates.crt
# Behind a package mirror:   add --build-arg UV_DEFAULT_INDEX=https://mirror.example/simple

FROM debian:trixie-slim AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates python3 \
 && rm -rf /var/lib/apt/lists/*
ARG UV_DEFAULT_INDEX
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt \
    UV_PYTHON_DOWNLOADS=never UV_LINK_MODE=copy UV_PROJECT_ENVIRONMENT=/opt/venv
WORKDIR /build
COPY bootstrap/fetch_uv.py ./
RUN --mount=type=secret,id=ca,target=/etc/ssl/certs/ca-certificates.crt \
    python3 fetch_uv.py /usr/local/bin
# Dependencies alone: this layer lasts until the lock changes.
COPY pyproject.toml uv.lock ./
RUN --mount=type=secret,id=ca,target=/etc/ssl/certs/ca-certificates.crt \
    --mount=type=cache,target=/root/.cache/uv \
    uv sync -q --frozen --no-install-project --group pipelines --compile-bytecode

FROM debian:trixie-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates python3 \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 10001 --create-home trainyard \
 && install -d -o trainyard -g trainyard /var/lib/trainyard
COPY --from=build /opt/venv /opt/venv
WORKDIR /opt/trainyard
COPY model_store model_store
COPY landing landing
COPY schemas schemas
COPY benchmarks benchmarks
COPY components components
COPY embedded embedded
COPY pipelines pipelines
ENV PATH=/opt/venv/bin:$PATH PYTHONPATH=/opt/trainyard PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    TRAINYARD_ROOT=/opt/trainyard TRAINYARD_HOME=/var/lib/trainyard
USER 10001:10001
ENTRYPOINT ["python", "-m", "pipelines.cli"]
CMD ["--help"]
