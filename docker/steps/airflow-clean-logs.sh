#!/bin/bash
# /clean-logs of the Airflow image: what the official Helm chart's log-groomer sidecars run. Deletes task logs that are older than
# AIRFLOW__LOG_RETENTION_DAYS (15), every AIRFLOW__LOG_CLEANUP_FREQUENCY_MINUTES (15).
set -euo pipefail
logs=${AIRFLOW_HOME}/logs
days=${AIRFLOW__LOG_RETENTION_DAYS:-15}
every=$((${AIRFLOW__LOG_CLEANUP_FREQUENCY_MINUTES:-15} * 60))
trap 'exit 0' TERM INT

while true; do
  if [ -d "$logs" ]; then
    # Several sidecars may share the folder: another's deletion is no failure.
    find "$logs" -type f -mtime "+$days" -delete 2>/dev/null || true
    find "$logs" -mindepth 1 -type d -empty -delete 2>/dev/null || true
  fi
  # As a child, so that the signal is heard at once.
  sleep "$every" & wait $!
done
