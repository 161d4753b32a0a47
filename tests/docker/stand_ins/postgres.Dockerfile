# A stand-in for docker.io/library/postgres:17 where no registry is reached: Debian's PostgreSQL 17 behind as much of that image's
# contract as docker/compose.yaml relies on (user 999, POSTGRES_*, PGDATA, /docker-entrypoint-initdb.d, the volume's owner).
FROM debian:trixie-slim
RUN groupadd --gid 999 postgres && useradd --uid 999 --gid 999 --home-dir /var/lib/postgresql postgres \
 && apt-get update && apt-get install -y --no-install-recommends postgresql-17 \
 && rm -rf /var/lib/apt/lists/* \
 && install -d -o 999 -g 999 -m 1777 /var/lib/postgresql/data
COPY postgres-entrypoint.sh /entrypoint
ENV PATH=/usr/lib/postgresql/17/bin:$PATH PGDATA=/var/lib/postgresql/data LANG=C.UTF-8
ENTRYPOINT ["sh", "/entrypoint"]
CMD ["postgres"]
