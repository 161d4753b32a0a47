#!/bin/sh
# The Debian part of every image: Python, certificates, one user. As root, in the stage that the image is made from.
#   system.sh USER UID GID HOME [PACKAGE ...]
set -eu
user=$1 uid=$2 gid=$3 home=$4
shift 4

export DEBIAN_FRONTEND=noninteractive
# useradd notes the day on which a password changed; a constant day gives the same /etc/shadow every day.
export SOURCE_DATE_EPOCH=315532800

apt-get -q update
apt-get -q install -y --no-install-recommends ca-certificates python3 "$@"
if [ "$gid" != 0 ]; then groupadd --gid "$gid" "$user"; fi
useradd --uid "$uid" --gid "$gid" --home-dir "$home" --no-create-home --shell /bin/bash "$user"
install -d -o "$uid" -g "$gid" "$home"

# Nothing in these containers changes its user.
find / -xdev -type f -perm /6000 -exec chmod a-s {} +
# What tells one build from the next, and what only apt reads.
find /var/lib/apt/lists /var/cache/apt /var/log -type f -delete
rm -rf /var/cache/ldconfig/aux-cache /var/cache/debconf/*-old /var/lib/dpkg/*-old /etc/*- /tmp/* /root/.cache
