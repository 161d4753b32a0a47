#!/bin/sh
# The Python part of every image, from uv.lock: /image/opt/venv, to be copied as /opt/venv.
#   environment.sh GROUP ...        (dependency groups of pyproject.toml)
# Secrets, each where it is given: `ca` over the system's certificates, `index` a package mirror's URL.
set -eu

choose_groups() { for group in "$@"; do printf -- '--group\n%s\n' "$group"; done; }

install_packages() {
  if [ -s /run/secrets/index ]; then
    # uv.lock names files by PyPI's URLs, and `uv sync` takes them from there. An export has versions and hashes alone.
    UV_DEFAULT_INDEX=$(cat /run/secrets/index)
    export UV_DEFAULT_INDEX
    # shellcheck disable=SC2046 # one word a line
    uv export -q --frozen --no-dev --no-emit-local $(choose_groups "$@") -o /tmp/requirements.txt
    uv venv -q /opt/venv
    uv pip sync -q --python /opt/venv/bin/python --require-hashes /tmp/requirements.txt
  else
    # shellcheck disable=SC2046
    uv sync -q --frozen --no-dev --no-install-local $(choose_groups "$@")
  fi
}

# What the lock takes from this checkout: as a copy, since an image has no checkout.
install_own() {
  if [ -d airflow_kubeflow ]; then uv pip install -q --no-deps --python /opt/venv/bin/python ./airflow_kubeflow; fi
}

# Headers and the libraries' own tests: a sixth of the environment, and no run reads them.
trim() {
  (cd /opt/venv/lib/python3.*/site-packages
    rm -rf tensorflow/include pyarrow/include pyarrow/tests pandas/tests h5py/tests
    for package in numpy scipy sklearn google/genai; do
      if [ -d "$package" ]; then find "$package" -type d -name tests -prune -exec rm -rf {} +; fi
    done)
}

# Bytecode that is valid whatever the files' times are: the image's root may be read-only, and its layers are compared.
compile() {
  # Some packages carry templates that are no Python 3; uv passes over them as well.
  PYTHONHASHSEED=0 /opt/venv/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/venv/lib >/dev/null || true
}

UV_DEFAULT_INDEX=$(cat /run/secrets/index 2>/dev/null || true) python3 fetch_uv.py /usr/local/bin
install_packages "$@"
install_own
trim
compile
rm -f /opt/venv/.lock /opt/venv/.gitignore
mkdir -p /image/opt
mv /opt/venv /image/opt/venv
find /image -exec touch -h -d @315532800 {} +
