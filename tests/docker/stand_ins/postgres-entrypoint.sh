# What the official image's entrypoint does with an empty volume, for the settings that docker/compose.yaml uses.
set -eu
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  umask 077
  mkdir -p "$PGDATA"
  printf '%s' "${POSTGRES_PASSWORD:?}" >/tmp/secret
  # shellcheck disable=SC2086 # options, as in the official image
  initdb -U postgres --pwfile=/tmp/secret $POSTGRES_INITDB_ARGS
  rm /tmp/secret
  printf '\nhost all all all %s\n' "$POSTGRES_HOST_AUTH_METHOD" >>"$PGDATA/pg_hba.conf"
  pg_ctl -w start -o "-c listen_addresses=''"
  for file in /docker-entrypoint-initdb.d/*.sql; do
    PGPASSWORD=$POSTGRES_PASSWORD psql -v ON_ERROR_STOP=1 --no-psqlrc -U postgres -d postgres -f "$file"
  done
  pg_ctl -w -m fast stop
fi
exec "$@" -c listen_addresses='*'
