# Deploys a template to moto's CloudFormation, and prints as JSON what is then there according to the services themselves.
# moto makes buckets, keys, roles and policies of a template; bucket policies, versioning and SageMaker's resources it passes over.
# usage: .oracle/bin/python test/oracle/lib/moto_stack.py ENDPOINT < TEMPLATE
import json
import sys
import time

import boto3

session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name="eu-central-1")
ssm, cloudformation, s3, kms, iam = (
    session.client(service, endpoint_url=sys.argv[1]) for service in ["ssm", "cloudformation", "s3", "kms", "iam"]
)

# what `cdk bootstrap` leaves, which the template asks for
ssm.put_parameter(Name="/cdk-bootstrap/hnb659fds/version", Value="99", Type="String")
cloudformation.create_stack(StackName="Test", TemplateBody=sys.stdin.read(), Capabilities=["CAPABILITY_NAMED_IAM"])
while True:
    stack = cloudformation.describe_stacks(StackName="Test")["Stacks"][0]
    if not stack["StackStatus"].endswith("IN_PROGRESS"):
        break
    time.sleep(0.1)

names = {}
for resource in cloudformation.list_stack_resources(StackName="Test")["StackResourceSummaries"]:
    names.setdefault(resource["ResourceType"], []).append(resource["PhysicalResourceId"])


def encryption(bucket):
    [rule] = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    return rule["ApplyServerSideEncryptionByDefault"]


def statements(role):
    for policy in iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]:
        version = iam.get_policy(PolicyArn=policy["PolicyArn"])["Policy"]["DefaultVersionId"]
        document = iam.get_policy_version(PolicyArn=policy["PolicyArn"], VersionId=version)["PolicyVersion"]["Document"]
        yield from document["Statement"]


print(
    json.dumps(
        {
            "status": stack["StackStatus"],
            "buckets": {bucket: encryption(bucket) for bucket in names["AWS::S3::Bucket"]},
            "rotated": {
                key["KeyArn"]: kms.get_key_rotation_status(KeyId=key["KeyId"])["KeyRotationEnabled"]
                for key in kms.list_keys()["Keys"]
                if key["KeyId"] in names["AWS::KMS::Key"]
            },
            "roles": {
                role: {
                    "trust": iam.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]["Statement"],
                    "may": list(statements(role)),
                }
                for role in names["AWS::IAM::Role"]
            },
        }
    )
)
