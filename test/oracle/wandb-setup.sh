#!/usr/bin/env bash
# Makes .oracle-wandb/, a Python environment with W&B's own client, apart from .oracle: it wants a newer protobuf than TensorFlow.
set -euo pipefail
cd "$(dirname "$0")/../.."
[ -x .oracle-wandb/bin/python ] || python3 -m venv .oracle-wandb
.oracle-wandb/bin/pip install --quiet --disable-pip-version-check 'wandb==0.31.0'
echo "ready: .oracle-wandb/bin/python"
