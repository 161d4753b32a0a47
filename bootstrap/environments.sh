# Makes and checks the Python environments; sourced by ./trainyard. Needs ROOT and VENVS.
# An environment is current if the copies of uv.lock and pyproject.toml that it was made from equal the present ones:
# two cmp calls, so that a start with nothing to do costs milliseconds.

PYTHON_RANGE="3.11, 3.12 or 3.13"
export UV_PYTHON_DOWNLOADS=never UV_NO_PROGRESS=${UV_NO_PROGRESS:-1} UV_LINK_MODE=${UV_LINK_MODE:-hardlink}

say() { printf 'trainyard: %s\n' "$*" >&2; }
die() { say "$@"; exit 2; }

usage() {
  cat <<'TEXT'
Trainyard: TFX pipelines that run the same on a laptop, on Kubeflow and from Airflow.

  ./trainyard demo            the whole loop on this machine: retrain, gates, release, deploy, predict
  ./trainyard up              the same platform, kept running for you
  ./trainyard test            run the tests
  ./trainyard doctor          check whether this machine has what it needs (--cluster: a Kubernetes cluster)
  ./trainyard setup           make the Python environments now (about 5 GB in .venv/)

The environments do not exist yet; the first command that needs them makes them. After that
./trainyard --help lists every command.
TEXT
}

find_python() {
  local candidate path
  if [ -n "${TRAINYARD_PYTHON:-}" ]; then
    path=$(command -v "$TRAINYARD_PYTHON") && is_in_range "$path" && { printf '%s\n' "$path"; return; }
    die "TRAINYARD_PYTHON is not a working Python $PYTHON_RANGE. Received: $TRAINYARD_PYTHON"
  fi
  for candidate in python3 python3.13 python3.12 python3.11; do
    path=$(command -v "$candidate") || continue
    if is_in_range "$path"; then printf '%s\n' "$path"; return; fi
  done
  die "no Python $PYTHON_RANGE on PATH (found: $(python3 --version 2>&1 || echo none)). Install one, or name it in TRAINYARD_PYTHON."
}

is_in_range() { "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; }

find_uv() {
  if [ -x "$VENVS/tools/bin/uv" ]; then printf '%s\n' "$VENVS/tools/bin/uv"; return; fi
  if command -v uv >/dev/null && uv_is_recent "$(command -v uv)"; then command -v uv; return; fi
  say "uv is missing; fetching it into .venv/tools"
  "$(find_python)" "$ROOT/bootstrap/fetch_uv.py" "$VENVS/tools/bin" >&2 || die "uv could not be fetched. Install it (https://docs.astral.sh/uv) and try again."
  printf '%s\n' "$VENVS/tools/bin/uv"
}

# Dependency groups that conflict need uv 0.8 or later.
uv_is_recent() { "$1" --version | awk '{split($2, v, "."); exit !(v[1] > 0 || v[2] >= 8)}'; }

environment_is_current() {
  local made=$VENVS/$1/.made-from
  cmp -s "$ROOT/uv.lock" "$made/uv.lock" && cmp -s "$ROOT/pyproject.toml" "$made/pyproject.toml" \
    && [ -x "$VENVS/$1/bin/python" ] && made_here "$1"
}

# The state in a word, for the doctor: current, missing, broken, moved, stale, or `of` and the checkout that it belongs to.
environment_state() {
  local owner
  if environment_is_current "$1"; then echo current
  elif owner=$(made_elsewhere "$1"); then printf 'of %s\n' "$owner"
  elif [ ! -x "$VENVS/$1/bin/python" ]; then
    if [ -L "$VENVS/$1/bin/python" ] && [ -d "$VENVS/$1/.made-from" ]; then echo broken; else echo missing; fi
  elif [ -f "$VENVS/$1/.made-from/root" ] && ! made_here "$1"; then echo moved
  else echo stale; fi
}

# After moving or copying a checkout, its scripts contain the old path.
made_here() { [ -f "$VENVS/$1/.made-from/root" ] && printf '%s' "$ROOT" | cmp -s - "$VENVS/$1/.made-from/root"; }

# The other checkout that the environment belongs to, if .venv is a link to that checkout's. (A copied checkout has a copy.)
made_elsewhere() {
  local other
  other=$(cat "$VENVS/$1/.made-from/root" 2>/dev/null) || return 1
  [ "$other" != "$ROOT" ] && [ "$other/.venv/$1" -ef "$VENVS/$1" ] && printf '%s' "$other"
}

ensure_environments() { local name; for name in "$@"; do environment_is_current "$name" || ensure_environment "$name"; done; }

ensure_environment() {
  environment_is_current "$1" && return
  mkdir -p "$VENVS"
  # One at a time: a DAG's task and a user may start together.
  exec 9>"$VENVS/.lock"
  flock -n 9 || { say "another process is making the environments; waiting"; flock 9; }
  environment_is_current "$1" || make_environment "$1"
  exec 9>&-
}

make_environment() (
  name=$1 venv=$VENVS/$1 started=$SECONDS
  case $name in pipelines|serving|airflow) ;; *) die "no environment '$name': pipelines, serving or airflow" ;; esac
  [ "$(uname -sm)" = "Linux x86_64" ] || no_native_environment "this is $(uname -sm), TFX has wheels for Linux x86_64 only"
  if owner=$(made_elsewhere "$name"); then
    die "$venv is the environment of $owner, and this checkout wants another. Name a folder of its own in TRAINYARD_VENVS."
  fi
  python=$(find_python); uv=$(find_uv)
  if made_here "$name"; then
    say "bringing the $name environment up to date with uv.lock"
  else
    say "making the $name environment in ${venv#"$ROOT"/} (once; downloads up to 1.5 GB)"
    # An incomplete environment is made again from scratch, which is cheap thanks to uv's cache.
    rm -rf "$venv"
    "$uv" venv -q -p "$python" "$venv"
    if [ "$name" = pipelines ] && ! has_recent_runtime; then
      . "$ROOT/bootstrap/private_runtime.sh"
      give_private_runtime "$uv" "$venv"
    fi
  fi
  # Bytecode is compiled now, because imports take most of a short command's time.
  (cd "$ROOT" && UV_PROJECT_ENVIRONMENT=$venv "$uv" sync -q --frozen --group "$name" --group dev --compile-bytecode) \
    || die "uv could not install the $name environment (its message is above). ./trainyard doctor checks network, disk and Python."
  mkdir -p "$venv/.made-from"
  cp "$ROOT/uv.lock" "$ROOT/pyproject.toml" "$venv/.made-from/"
  printf '%s' "$ROOT" >"$venv/.made-from/root"
  say "the $name environment is ready ($((SECONDS - started)) s)"
)

# ml-metadata and tensorflow-data-validation are built against glibc 2.38 and GCC 14's libstdc++.
has_recent_runtime() {
  local version library
  version=$(getconf GNU_LIBC_VERSION 2>/dev/null | awk '{print $2}')
  [ -n "$version" ] || return 1
  [ "$(printf '%s\n2.38\n' "$version" | sort -V | head -n1)" = 2.38 ] || return 1
  library=$(PATH=$PATH:/sbin:/usr/sbin ldconfig -p 2>/dev/null | awk '/libstdc\+\+\.so\.6 .*x86-64/ {print $NF; exit}')
  [ -n "$library" ] && grep -q CXXABI_1.3.15 "$library"
}

no_native_environment() {
  die "$1. Use the container image instead: docker/build pipeline (docs/guides/containers.md)"
}
