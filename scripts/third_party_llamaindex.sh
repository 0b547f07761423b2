#!/usr/bin/env bash
# LlamaIndex's own tests of memories, chat engines and agents, unmodified, on this package's classes.
#
#   scripts/third_party_llamaindex.sh [CHECKOUT [ENVIRONMENT]]
#
# CHECKOUT: a checkout of https://github.com/run-llama/llama_index (at least llama-index-core/tests and its
# pyproject.toml); default: the tag of the newest release this package allows, cloned. Its own version of
# llama-index-core is installed, in an environment of its own (ENVIRONMENT; default: a temporary folder).
# Without a checkout everything is SKIPPED, and the exit status is 77.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/third-party-XXXXXX")
trap 'rm -rf "$work"' EXIT
checkout=${1:-}
environment=${2:-$work/environment}
tag=${LLAMA_INDEX_TAG:-v0.14.25}

if [ -z "$checkout" ]; then
  checkout=$work/llama_index
  if ! git clone -q --depth 1 --filter=blob:none --sparse --branch "$tag" \
    https://github.com/run-llama/llama_index "$checkout" || ! git -C "$checkout" sparse-checkout set llama-index-core; then
    echo "SKIPPED: LlamaIndex's tests. $tag cannot be cloned here; give the path of a checkout as first argument." >&2
    exit 77
  fi
fi
core=$(cd "$checkout/llama-index-core" && pwd)
version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$core/pyproject.toml" | head -1)

if [ ! -x "$environment/bin/pytest" ]; then
  python3 -m venv "$environment"
  "$environment/bin/pip" install -q "llama-index-core==$version" "$root" openai "pytest<9" "pytest-asyncio<2" pytest-mock
fi
export PYTHONPATH=$root/core:$root:$root/scripts/third_party_llamaindex
"$environment/bin/python" -c "
from importlib.metadata import version
print(*(f'{name} {version(name)}' for name in ('llama-index-core', 'llama-index-workflows', 'pydantic', 'chromadb')), sep=', ')"

# The tests alone: beside llama_index's sources, those would be imported in place of what is installed.
mkdir "$work/run" && cp -r "$core/tests" "$work/run/tests" && cd "$work/run"
printf '[pytest]\nasyncio_default_fixture_loop_scope = function\nmarkers = integration\n' > pytest.ini
run() { "$environment/bin/pytest" -q -rfxX -p no:cacheprovider -p rebinding "$@"; }
present() { for file in "$@"; do if [ -e "$file" ]; then echo "$file"; fi; done; }

status=0
echo "== TieredMemory as Memory and ChatMemoryBuffer"
# shellcheck disable=SC2046
run --rebind memory $(present tests/chat_engine tests/agent/workflow tests/memory/test_chat_memory_buffer.py \
  tests/memory/test_memory_base.py) || status=$?
echo "== Memory on TieredChatStore"
# shellcheck disable=SC2046
run --rebind store $(present tests/memory/test_memory_base.py tests/memory/test_memory_blocks_base.py \
  tests/memory/test_memory_custom_chat_store.py tests/memory/test_memory_read_concurrency.py) || status=$?
exit "$status"
