"""Pipelines as AWS's SageMaker Python SDK 2 writes them, for test/lib/pipeline/python-sdk to hold ours against.

usage: .oracle-sagemaker/bin/python test/oracle/lib/sagemaker_sdk FOLDER   (test/fixtures/sdk has what it wrote)
"""
import json
import os
import re
import sys

from session import DEFINITIONS  # first: it keeps boto to this machine

from control import checks, decisions, elsewhere, execution_requests
from jobs import processing, script_mode, training, tuning
from models import endpoints, models

folder = sys.argv[1]
for case in [processing, training, tuning, models, decisions, checks, elsewhere, endpoints, script_mode]:
    case()
for name, written in {**DEFINITIONS, "requests": execution_requests()}.items():
    with open(os.path.join(folder, f"{name}.json"), "w") as file:
        # what the SDK makes of the time and of the folder that it runs in
        text = re.sub(r"/input-[-0-9]{20,}|/code/[0-9a-f]{64}", "/UPLOAD", json.dumps(written, indent=2))
        file.write(f"{text}\n")
