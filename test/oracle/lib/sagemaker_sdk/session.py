"""The SDK's session, of which nothing leaves this machine: every HTTP request of boto is answered here."""
import io
import json
import logging
import os
import warnings

for name in [name for name in os.environ if name.startswith("AWS_")]:
    del os.environ[name]
os.environ.update(SAGEMAKER_ADMIN_CONFIG_OVERRIDE="/dev/null", SAGEMAKER_USER_CONFIG_OVERRIDE="/dev/null")
warnings.filterwarnings("ignore")

import boto3  # noqa: E402
import botocore.awsrequest  # noqa: E402
import botocore.session  # noqa: E402
from sagemaker import TrainingInput  # noqa: E402
from sagemaker.estimator import Estimator  # noqa: E402
from sagemaker.workflow.pipeline import Pipeline  # noqa: E402
from sagemaker.workflow.pipeline_context import PipelineSession  # noqa: E402
from sagemaker.workflow.steps import TrainingStep  # noqa: E402

logging.disable(logging.CRITICAL)

REGION = "eu-central-1"
IMAGE = f"111122223333.dkr.ecr.{REGION}.amazonaws.com/scanline:1"
ROLE = "arn:aws:iam::111122223333:role/scanline"
KEY = "arn:aws:kms:eu-central-1:111122223333:key/images"
BUCKETS = "<ListAllMyBucketsResult><Buckets><Bucket><Name>bucket</Name></Bucket></Buckets></ListAllMyBucketsResult>"
PIPELINE_ARN = f"arn:aws:sagemaker:{REGION}:111122223333:pipeline/p"

requests = {}


class Raw(io.BytesIO):
    def stream(self, **_):
        return iter([self.read()])


def answer(request, **_):
    """Any request of boto: what it asked is kept; an ARN is all that the SDK needs back."""
    target = request.headers.get("X-Amz-Target", b"")
    operation = (target.decode() if isinstance(target, bytes) else target).split(".")[-1]
    if operation:
        requests[operation] = json.loads(request.body)
    arns = json.dumps({"PipelineArn": PIPELINE_ARN, "PipelineExecutionArn": f"{PIPELINE_ARN}/execution/e"})
    body = arns if operation else BUCKETS if request.method == "GET" else ""
    return botocore.awsrequest.AWSResponse(request.url, 200, {}, Raw(body.encode()))


core = botocore.session.get_session()
core.set_credentials("none", "none")
core.register("before-send", answer)
boto = boto3.Session(botocore_session=core, region_name=REGION)
session = PipelineSession(boto_session=boto, default_bucket="bucket")
# asked of STS otherwise
session.account_id = lambda: "111122223333"

PLAIN = dict(disable_profiler=True, debugger_hook_config=False, sagemaker_session=session)
DEFINITIONS = {}


def definition(name, steps, parameters=(), experiment=None):
    DEFINITIONS[name] = json.loads(
        Pipeline(
            name="p",
            parameters=list(parameters),
            steps=steps,
            sagemaker_session=session,
            **({"pipeline_experiment_config": experiment} if experiment else {}),
        ).definition()
    )


def estimator(**more):
    settings = dict(
        image_uri=IMAGE,
        role=ROLE,
        instance_count=1,
        instance_type="ml.g5.xlarge",
        volume_size=50,
        max_run=3600,
        output_path="s3://bucket/models",
        hyperparameters={"epochs": 3},
        metric_definitions=[{"Name": "loss", "Regex": "loss=([0-9.]+)"}],
    )
    return Estimator(**{**settings, **PLAIN, **more})


def train_step(name="Train"):
    return TrainingStep(name=name, step_args=estimator().fit({"train": TrainingInput("s3://bucket/train")}))
