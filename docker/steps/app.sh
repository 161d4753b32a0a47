#!/bin/sh
# Trainyard's own part of every image: compiles what lies in /image and gives every file the commit's time.
#   app.sh SOURCE_DATE_EPOCH
set -eu
# checked-hash: a derived image that puts another features.py over this one gets its own, not our bytecode.
PYTHONHASHSEED=0 python3 -m compileall -q --invalidation-mode checked-hash -s /image -p / /image/opt/trainyard
chmod -R u=rwX,go=rX /image
find /image -exec touch -h -d "@$1" {} +
