# A stand-in for docker.io/versity/versitygw:v1.8.0 where no registry is reached: the same program, built from the same version's
# source by Go, without Alpine around it. BusyBox for the health check's wget, as there.
FROM debian:trixie-slim
RUN apt-get update && apt-get install -y --no-install-recommends busybox && rm -rf /var/lib/apt/lists/* \
 && ln -s /bin/busybox /usr/local/bin/wget
COPY versitygw /usr/local/bin/versitygw
ENTRYPOINT ["/usr/local/bin/versitygw"]
