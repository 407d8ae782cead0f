# Makes a pipeline of a template's stages by moto's CodePipeline, and prints as JSON the stages that are there then.
# usage: .oracle/bin/python test/oracle/lib/code_pipeline.py ENDPOINT < STAGES
import json
import sys

import boto3

session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name="eu-central-1")
codepipeline, iam = (session.client(service, endpoint_url=sys.argv[1]) for service in ["codepipeline", "iam"])


def as_request(value):
    """The API's names begin in lower case, a template's in upper; those of a configuration are the action's own."""
    if isinstance(value, list):
        return [as_request(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        name[0].lower() + name[1:]: item if name == "Configuration" else as_request(item) for name, item in value.items()
    }


trust = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "codepipeline.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ],
}
role = iam.create_role(RoleName="delivery", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
store = {"type": "S3", "location": "artifacts"}
stages = as_request(json.load(sys.stdin))
codepipeline.create_pipeline(
    pipeline={"name": "delivery", "roleArn": role, "artifactStore": store, "stages": stages, "version": 1}
)
print(json.dumps(codepipeline.get_pipeline(name="delivery")["pipeline"]["stages"]))
