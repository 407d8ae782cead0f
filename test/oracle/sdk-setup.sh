#!/usr/bin/env bash
# Makes .oracle-sagemaker/, a Python environment with AWS's SageMaker Python SDK 2, apart from .oracle: it wants older protobuf and packaging.
set -euo pipefail
cd "$(dirname "$0")/../.."
[ -x .oracle-sagemaker/bin/python ] || python3 -m venv .oracle-sagemaker
.oracle-sagemaker/bin/pip install --quiet --disable-pip-version-check 'sagemaker==2.257.7'
echo "ready: .oracle-sagemaker/bin/python test/oracle/lib/sagemaker_sdk FOLDER"
