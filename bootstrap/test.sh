# Runs the tests, each folder in its environment; sourced by ./trainyard. Needs ROOT and VENVS.

TEST_ENVIRONMENTS="pipelines serving airflow"

# The environment of a test path, e.g. tests/serving/test_rest.py::test_predict -> serving.
test_environment() {
  local path=${1%%::*}
  path=${path#"$ROOT"/}; path=${path#./}
  case ${path%/} in
    tests|.|'') printf '%s\n' "$TEST_ENVIRONMENTS" ;;
    tests/serving|tests/serving/*|tests/model_store|tests/model_store/*) echo serving ;;
    tests/dags|tests/dags/*|tests/embedded|tests/embedded/*|tests/chaos|tests/chaos/*|tests/airflow_kubeflow|tests/airflow_kubeflow/*) echo airflow ;;
    *) echo pipelines ;;
  esac
}

# The test folders of one environment.
test_paths() {
  local path
  for path in "$ROOT"/tests/*/ "$ROOT"/tests/test_*.py; do
    if [ ! -e "$path" ] || [ "$(basename "$path")" = __pycache__ ]; then continue; fi
    path=tests/$(basename "$path")
    [ "$(test_environment "$path")" != "$1" ] || printf '%s\n' "$path"
  done
}

test_usage() {
  cat <<'TEXT'
./trainyard test [--slow | --docker] [PATH ...] [pytest options]

  --slow     slow tests, too
  --docker   only the tests of the container images, which need Docker (docs/guides/containers.md)
  PATH       only these, in their environment: ./trainyard test tests/serving -k predict

Without any of these, up to four processes share the tests.
TEXT
}

run_tests() {
  local marks="not slow and not docker" paths=() options=() spread=() narrowed="" previous="" argument environment
  for argument in "$@"; do
    case $argument in
      -h|--help) test_usage; return 0 ;;
      --slow) marks="not docker"; continue ;;
      --docker) marks="docker"; continue ;;
    esac
    narrowed=yes
    case $previous in
      -k|-m|-p|-o|-c|-W|-r|-n|--maxfail|--durations|--ignore|--deselect|--timeout) options+=("$argument") ;;
      *) if [[ $argument != -* && -e $ROOT/${argument%%::*} ]]; then paths+=("$argument")
         elif [[ $argument != -* && -e ${argument%%::*} ]]; then paths+=("$PWD/$argument")
         elif [[ $argument == tests/* ]]; then die "there is no test at $argument"
         else options+=("$argument"); fi ;;
    esac
    previous=$argument
  done

  if [ "$marks" = docker ] && [ ${#paths[@]} -eq 0 ]; then paths=(tests/docker); fi
  if [ "$marks$narrowed" = "not slow and not docker" ]; then spread=(-n "$(test_processes)" --dist loadfile --no-loadscope-reorder); fi
  local needed=" "
  if [ ${#paths[@]} -eq 0 ]; then needed=" $TEST_ENVIRONMENTS "
  else for argument in "${paths[@]}"; do needed+="$(test_environment "$argument") "; done; fi
  for environment in $TEST_ENVIRONMENTS; do
    [[ $needed != *" $environment "* ]] || ensure_environments "$environment"
  done

  # In a subshell, so that the scratch home is removed however the tests end.
  (
    scratch=$(mktemp -d "${TMPDIR:-/tmp}/trainyard-test.XXXXXX")
    trap 'rm -rf "$scratch"' EXIT
    trap 'exit 130' INT TERM
    quieten
    export TRAINYARD_HOME=$scratch/home AIRFLOW_HOME=$scratch/airflow
    unset TRAINYARD_DATA TRAINYARD_STORE TRAINYARD_WORKLOADS TRAINYARD_SCHEMAS
    mkdir -p "$TRAINYARD_HOME" "$scratch/results"
    cd "$ROOT" || exit
    for environment in $TEST_ENVIRONMENTS; do
      [[ $needed == *" $environment "* ]] || continue
      chosen=()
      for argument in "${paths[@]}"; do
        case $(test_environment "$argument") in
          "$environment") chosen+=("$argument") ;;
          *" "*) mapfile -t -O "${#chosen[@]}" chosen < <(test_paths "$environment") ;;
        esac
      done
      [ ${#paths[@]} -gt 0 ] || mapfile -t chosen < <(test_paths "$environment")
      say "testing in the $environment environment"
      run_pytest "$environment" "$scratch/results" "$narrowed" -m "$marks" "${spread[@]}" "${options[@]}" "${chosen[@]}"
    done
    summarise_tests "$scratch/results"
  )
}

# How many processes share a plain run, a file at a time: one a core, and four at most, as each of them takes up to 2 GB. What is
# narrowed, or slow, stays in one process, where -s and --pdb work, unless `-n` says otherwise.
test_processes() { local cores; cores=$(nproc); echo $((cores < 4 ? cores : 4)); }

# Silences TensorFlow, Airflow and gRPC, whose logs are not about the tests.
quieten() {
  export TF_CPP_MIN_LOG_LEVEL=${TF_CPP_MIN_LOG_LEVEL:-2} GLOG_minloglevel=2 GRPC_VERBOSITY=ERROR
  export AIRFLOW__LOGGING__LOGGING_LEVEL=${AIRFLOW__LOGGING__LOGGING_LEVEL:-ERROR} GX_ANALYTICS_ENABLED=false
}

# run_pytest ENVIRONMENT RESULTS NARROWED ARGUMENT...: pytest's results go to RESULTS/ENVIRONMENT.xml, its end to .rc
run_pytest() {
  local environment=$1 results=$2 narrowed=$3 rc=0
  shift 3
  "$VENVS/$environment/bin/python" -m pytest -q --disable-warnings -o cache_dir=".pytest_cache/$environment" \
    --junitxml="$results/$environment.xml" "$@" || rc=$?
  [ "$rc" -ne 130 ] && [ "$rc" -ne 2 ] || [ -f "$results/$environment.xml" ] || exit 130
  # 5: no test was selected, which is fine in one of several environments if the selection is narrow.
  [ "$rc" -ne 5 ] || [ -z "$narrowed" ] || rc=0
  echo "$rc" >"$results/$environment.rc"
}

# Adds up the environments' results; the last line is for people and CI. Fails if a test failed or pytest itself broke.
summarise_tests() {
  "$(find_python)" - "$1" <<'PYTHON'
import pathlib, sys, xml.etree.ElementTree as xml

passed = failed = skipped = 0
broken = []
for end in sorted(pathlib.Path(sys.argv[1]).glob("*.rc")):
    code, results, found = int(end.read_text()), end.with_suffix(".xml"), 0
    for suite in xml.parse(results).iter("testsuite") if results.exists() else ():
        tests, skips = int(suite.get("tests", 0)), int(suite.get("skipped", 0))
        found += int(suite.get("failures", 0)) + int(suite.get("errors", 0))
        passed, skipped = passed + tests - skips - int(suite.get("failures", 0)) - int(suite.get("errors", 0)), skipped + skips
    if code and not found:
        broken.append(f"pytest ended with {code} in the {end.stem} environment" + (": no tests there" if code == 5 else ""))
        found = 1
    failed += found
print()
for line in broken:
    print(line)
print(f"{passed} passed, {failed} failed, {skipped} skipped", flush=True)
sys.exit(1 if failed else 0)
PYTHON
}
