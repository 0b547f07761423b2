#!/usr/bin/env bash
# The tests on every CPython from 3.11 up that this machine has, with the lowest and the newest versions of what we
# depend on. Each combination gets an environment of its own in FOLDER, which is kept for the next time.
#
#   scripts/versions.sh FOLDER           # the oldest Python with the lowest versions, every Python with the newest
#   scripts/versions.sh FOLDER short     # only the two ends: oldest with lowest, newest with newest; core tests
#   scripts/versions.sh FOLDER ci        # two minutes of that: 3.11 with the lowest, the newest Python where CI has another
#
# Prints one line for each combination: what was installed and how the tests ended.
set -euo pipefail
folder=${1:?"usage: scripts/versions.sh FOLDER [short|ci]"}
kind=${2:-long}
root=$(cd "$(dirname "$0")/.." && pwd)
core=(tests/unit/{engine,policy,stores,defaults} tests/crash/test_damage.py tests/machine/test_concurrency.py)
frameworks=(tests/langchain tests/llamaindex)
[ "$kind" = short ] && core=(tests/unit/{engine,stores})
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

pin=  # one more requirement of an environment, such as pydantic==2.12.*

environment() {  # python, resolution, extras -> the environment's folder
  local env
  env=$folder/$("$1" -c 'import sys; print("py%d.%d" % sys.version_info[:2])')-$2-${3//,/-}${pin//[^a-z0-9.]/-}
  if [ ! -e "$env/complete" ]; then
    "$uv" venv --quiet --allow-existing --python "$1" "$env"
    # Only what a user installs is resolved to its lowest; the tools of the tests are the newest.
    "$uv" pip install --quiet --python "$env/bin/python" --resolution "$2" "$root[$3]" ${pin:+"$pin"}
    "$uv" pip install --quiet --python "$env/bin/python" pytest hypothesis httpx
    # It brings tiktoken's files, without which tokens are only estimated and tests of budgets mean nothing.
    case $3 in *llama*|all) ;; *) "$uv" pip install --quiet --python "$env/bin/python" --no-deps llama-index-core ;; esac
    "$uv" pip uninstall --quiet --python "$env/bin/python" memory-mgr
    touch "$env/complete"
  fi
  echo "$env"
}

run() {  # python, resolution, extras, tests...
  local env log python=$1 resolution=$2 extras=$3 status=passed
  shift 3
  env=$(environment "$python" "$resolution" "$extras") || { echo "$python, $resolution: cannot be installed"; return 1; }
  log=$env/tests.log
  (cd "$root" && PYTHONPATH="$root/core:$root" "$env/bin/python" -m pytest -q -p no:cacheprovider "$@") \
    > "$log" 2>&1 || status=FAILED
  "$env/bin/python" - "$resolution" "$status" "$(tail -1 "$log")" <<'PY'
import sys
from importlib.metadata import distributions
names = "chromadb", "pydantic", "numpy", "tiktoken", "langchain-core", "llama-index-core"
there = {d.metadata["Name"]: d.version for d in distributions()}
print(f"{sys.version.split()[0]}, {sys.argv[1]}: {sys.argv[2]}: {sys.argv[3]}  [",
      ", ".join(f"{name} {there[name]}" for name in names if name in there), "]", sep="", flush=True)
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
if [ "$kind" = ci ]; then
  # What the lanes have found so far: floors that cannot be imported, and warnings that only a newer Python gives.
  oldest=$("${found[0]}" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
  if [ "$oldest" = 3.11 ]; then
    run "${found[0]}" lowest-direct local,cli,langchain-agents,langchain-classic,llamaindex \
      tests/unit/stores tests/unit/defaults/test_embedder.py tests/versions tests/langchain/test_middleware.py tests/llamaindex/test_memory.py || failed=1
  else
    echo "lowest versions: skipped, they are for CPython 3.11 and the oldest here is $oldest"
  fi
  if [ "${found[-1]}" != "${found[0]}" ]; then
    run "${found[-1]}" highest local,cli tests/unit/{policy,stores} || failed=1
  else
    echo "newest Python: skipped, there is only one here ($oldest)"
  fi
  exit "$failed"
fi
# What the frameworks need raises the floors of what the core needs, so the two are looked at apart.
run "${found[0]}" lowest-direct local,cli "${core[@]}" || failed=1
[ "$kind" = short ] ||
  run "${found[0]}" lowest-direct local,cli,langchain-agents,langchain-classic,llamaindex "${frameworks[@]}" || failed=1
# LlamaIndex's chat stores met a pydantic that could not write them; 2.12 is the last of the older ones.
[ "$kind" = short ] ||
  pin='pydantic==2.12.*' run "${found[0]}" highest local,cli,llamaindex tests/llamaindex || failed=1
[ "$kind" = short ] && found=("${found[-1]}") frameworks=()
for python in "${found[@]}"; do
  run "$python" highest all "${core[@]}" "${frameworks[@]}" || failed=1
done
exit "$failed"
