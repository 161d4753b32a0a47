#!/bin/bash
# /entrypoint of the Airflow image, with the calling habits of Airflow's own: the official Helm chart names this path and these.
#   docker run trainyard-airflow scheduler               -> airflow scheduler
#   docker run trainyard-airflow bash -c "airflow ..."   -> as given, and so for airflow and python
set -euo pipefail

# A cluster may give the container any user id in group 0 (OpenShift does); Airflow insists on a name.
if ! whoami >/dev/null 2>&1; then export USER=${USER:-airflow} LOGNAME=${LOGNAME:-airflow}; fi

case ${1:-} in
  airflow|bash|sh|python|python3) exec "$@" ;;
  *) exec airflow "$@" ;;
esac
