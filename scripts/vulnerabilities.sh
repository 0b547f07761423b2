#!/usr/bin/env bash
# Known vulnerabilities of what is installed, by pip-audit. Fails if there are any. Where the vulnerability service cannot
# be reached it says so loudly and does not fail: nothing was found out, and nothing is claimed.
#
#   scripts/vulnerabilities.sh [arguments of pip-audit]
set -uo pipefail
if ! command -v pip-audit > /dev/null; then
    echo "!! NOT AUDITED: pip-audit is not installed (pip install pip-audit)" >&2
    exit 0
fi
report=$(mktemp)
trap 'rm -f "$report"' EXIT
timeout 300 pip-audit --progress-spinner off --timeout 20 --skip-editable "$@" > "$report" 2>&1
status=$?
cat "$report"
unknown=$(grep -c "could not be audited" "$report")
if [ "$unknown" -gt 0 ]; then
    echo "!! NOT AUDITED: the service knows nothing of $unknown of the distributions above; nothing is said about them." >&2
fi
if [ $status -eq 0 ]; then
    exit 0
fi
if grep -qE "Found [0-9]+ known vulnerabilit" "$report"; then
    exit 1
fi
echo "!! NOT AUDITED: the vulnerability service could not be asked (pip-audit ended with $status, see above)." >&2
echo "!! This run says nothing about vulnerabilities. Run it again where the service can be reached." >&2
exit 0
