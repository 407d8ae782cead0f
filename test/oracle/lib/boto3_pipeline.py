# A pipeline from Python: boto3 creates, starts and watches it on the control plane whose address is given, and prints what it saw.
# usage: .oracle/bin/python test/oracle/lib/boto3_pipeline.py ENDPOINT < DEFINITION
import json
import sys
import time

import boto3

session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name="us-east-1")
client = session.client("sagemaker", endpoint_url=sys.argv[1])
definition = sys.stdin.read()
role = "arn:aws:iam::000000000000:role/test"

arn = client.create_pipeline(PipelineName="boto", PipelineDefinition=definition, RoleArn=role)["PipelineArn"]
described = client.describe_pipeline(PipelineName="boto")
listed = [pipeline["PipelineName"] for pipeline in client.list_pipelines()["PipelineSummaries"]]
execution = client.start_pipeline_execution(
    PipelineName="boto", PipelineParameters=[{"Name": "Greeting", "Value": "servus"}]
)["PipelineExecutionArn"]
while True:
    state = client.describe_pipeline_execution(PipelineExecutionArn=execution)
    if state["PipelineExecutionStatus"] not in ("Executing", "Stopping"):
        break
    time.sleep(0.05)
steps = client.list_pipeline_execution_steps(PipelineExecutionArn=execution)["PipelineExecutionSteps"]
job_arn = next(step for step in steps if step["StepName"] == "Train")["Metadata"]["TrainingJob"]["Arn"]
job = client.describe_training_job(TrainingJobName=job_arn.split("/")[-1])
try:
    client.describe_pipeline(PipelineName="none")
except client.exceptions.ResourceNotFound as error:
    missing = type(error).__name__

print(
    json.dumps(
        {
            "arn": arn,
            "same": described["PipelineDefinition"] == definition,
            "listed": listed,
            "status": state["PipelineExecutionStatus"],
            "steps": {step["StepName"]: step["StepStatus"] for step in steps},
            "ordered": all(step["StartTime"] <= step["EndTime"] for step in steps),
            "greeting": job["HyperParameters"]["greeting"],
            "model": job["ModelArtifacts"]["S3ModelArtifacts"],
            "missing": missing,
        }
    )
)
