#!/usr/bin/env bash
# Makes .oracle/, a Python environment with the programs that Scanline is checked and measured against.
set -euo pipefail
cd "$(dirname "$0")/../.."
[ -x .oracle/bin/python ] || python3 -m venv .oracle
.oracle/bin/pip install --quiet --disable-pip-version-check -r test/oracle/requirements.txt
echo "ready: .oracle/bin/python"
