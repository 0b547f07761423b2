#!/usr/bin/env bash
# The tests on every CPython from 3.11 up that this machine has, with the lowest and the newest versions of what we
# depend on. Each combination gets an environment of its own in FOLDER, which is kept for the next time.
#
#   scripts/versions.sh FOLDER           # the oldest Python with the lowest versions, every Python with the newest
#   scripts/versions.sh FOLDER short     # only the two ends: oldest with lowest, newest with newest; core tests
#
# Prints one line for each combination: what was installed and how the tests ended.
set -euo pipefail
folder=${1:?"usage: scripts/versions.sh FOLDER [short]"}
kind=${2:-long}
root=$(cd "$(dirname "$0")/.." && pwd)
# The other extras raise the floors of what these need, so theirs are tested by the newest versions only (.ci/run).
extras=local,cli,langchain-agents,langchain-classic,llamaindex
tests=(tests/unit/{engine,policy,stores,defaults} tests/langchain tests/llamaindex tests/crash/test_damage.py
  tests/machine/test_concurrency.py)
[ "$kind" = short ] && tests=(tests/unit/engine tests/unit/stores)
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)

# Every CPython >= 3.11: on the path, and where pyenv keeps them.
pythons() {
  for python in "${HOME}"/.pyenv/versions/*/bin/python python3.11 python3.12 python3.13 python3.14 python3; do
    python=$(command -v "$python") || continue
    "$python" -c 'import sys; sys.version_info < (3, 11) or sys.implementation.name != "cpython" or print(
      "%d.%d" % sys.version_info[:2], sys.executable)' 2>/dev/null || true
  done | sort -V -u -k1,1
}

environment() {  # python, resolution -> the environment's folder
  local env
  env=$folder/$("$1" -c 'import sys; print("py%d.%d" % sys.version_info[:2])')-$2
  if [ ! -e "$env/complete" ]; then
    "$uv" venv --quiet --python "$1" "$env"
    # Only what a user installs is resolved to its lowest; the tools of the tests are the newest.
    "$uv" pip install --quiet --python "$env/bin/python" --resolution "$2" "$root[$extras]"
    "$uv" pip install --quiet --python "$env/bin/python" pytest hypothesis httpx opentelemetry-sdk
    "$uv" pip uninstall --quiet --python "$env/bin/python" memory-mgr
    touch "$env/complete"
  fi
  echo "$env"
}

run() {  # python, resolution
  local env log status=passed
  env=$(environment "$1" "$2") || { echo "$("$1" --version), $2: cannot be installed"; return 1; }
  log=$env/tests.log
  (cd "$root" && PYTHONPATH="$root/core:$root" "$env/bin/python" -m pytest -q -p no:cacheprovider "${tests[@]}") \
    > "$log" 2>&1 || status=FAILED
  "$env/bin/python" - "$2" "$status" "$(tail -1 "$log")" <<'PY'
import sys
from importlib.metadata import version
names = "chromadb", "pydantic", "numpy", "langchain-core", "llama-index-core"
print(f"{sys.version.split()[0]}, {sys.argv[1]}: {sys.argv[2]}: {sys.argv[3]}  [",
      ", ".join(f"{name} {version(name)}" for name in names), "]", sep="", flush=True)
PY
  [ "$status" = passed ]
}

uv=$(command -v uv) || {
  uv=$folder/uv/bin/uv
  [ -x "$uv" ] || { python3 -m venv "$folder/uv" && "$folder/uv/bin/pip" install --quiet uv; }
}
mapfile -t found < <(pythons | cut -d' ' -f2)
[ "${#found[@]}" -gt 0 ] || { echo "no CPython >= 3.11 here" >&2; exit 2; }
failed=0
run "${found[0]}" lowest-direct || failed=1
[ "$kind" = short ] && found=("${found[-1]}")
for python in "${found[@]}"; do run "$python" highest || failed=1; done
exit "$failed"
