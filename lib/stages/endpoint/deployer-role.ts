// The role of the function that deploys: it reads one group, and makes, moves and prunes what belongs to one endpoint.
import { Stack } from 'aws-cdk-lib';
import { type IRole, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import type { ILogGroup } from 'aws-cdk-lib/aws-logs';
import type { Construct } from 'constructs';
import { bothCases } from '../access/endpoint-permissions';
import { GRANT_FOR_AWS, SageMakerRole } from '../access/execution-role';

export interface DeployerRoleProps {
  readonly endpointName: string;
  /** ARNs of the versions that may be deployed, with a wildcard for their numbers. */
  readonly versions: readonly string[];
  /** Of the names of models and configurations. */
  readonly prefix: string;
  /** What the containers work as. */
  readonly role: IRole;
  readonly logGroup: ILogGroup;
  /** Of the alarms that take an update back. @default none */
  readonly alarmArns?: readonly string[];
  /** Of the instances' volumes. @default none */
  readonly volumeKeyArn?: string;
}

const SERVICE_LINKED =
  'role/aws-service-role/sagemaker.application-autoscaling.amazonaws.com/AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint';

/** After https://docs.aws.amazon.com/sagemaker/latest/dg/api-permissions-reference.html */
export class DeployerRole extends SageMakerRole {
  constructor(scope: Construct, id: string, props: DeployerRoleProps) {
    const principal = new ServicePrincipal('lambda.amazonaws.com');
    super(scope, id, `Moves the endpoint to the newest approved version of its group`, principal);
    const { endpointName, versions, prefix, role, logGroup, alarmArns = [], volumeKeyArn } = props;
    const named = (kind: string) => bothCases(prefix).map((name) => this.arn(`${kind}/${name}-*`));
    const [models, configs] = [named('model'), named('endpoint-config')];
    this.allow(['sagemaker:ListModelPackages', 'sagemaker:ListEndpointConfigs'], ['*'], {
      reason: 'lists take no resource; so do those of Application Auto Scaling',
    });
    this.allow(['sagemaker:DescribeModelPackage', 'sagemaker:CreateModel'], versions, {
      reason: 'the versions of one model package group: SageMaker numbers them',
    });
    const reason = 'what is made for this endpoint: its names go on with the version and a digest of the settings';
    this.allow(of('Model'), models, { reason });
    this.allow(of('EndpointConfig'), configs, { reason });
    const endpoints = bothCases(endpointName).map((name) => this.arn(`endpoint/${name}`));
    this.allow([...of('Endpoint'), 'sagemaker:UpdateEndpoint', 'sagemaker:AddTags'], endpoints);
    this.allow(['sagemaker:CreateEndpoint', 'sagemaker:UpdateEndpoint', 'sagemaker:AddTags'], configs);
    this.allow(['iam:PassRole'], [role.roleArn], {
      conditions: { StringEquals: { 'iam:PassedToService': 'sagemaker.amazonaws.com' } },
    });
    if (alarmArns.length > 0) this.allow(['cloudwatch:DescribeAlarms'], alarmArns);
    if (volumeKeyArn !== undefined) {
      this.allow(['kms:CreateGrant', 'kms:DescribeKey'], [volumeKeyArn], { conditions: GRANT_FOR_AWS });
    }
    this.allow(['logs:CreateLogStream', 'logs:PutLogEvents'], [logGroup.logGroupArn], {
      reason: 'the streams of one log group: Lambda names them',
    });
  }

  /** What registering the endpoint takes: https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-auto-scaling-prerequisites.html */
  allowScaling(endpointName: string): void {
    const { account, partition } = Stack.of(this);
    const targets = Stack.of(this).formatArn({ service: 'application-autoscaling', resource: 'scalable-target/*' });
    this.allow(['application-autoscaling:DescribeScalableTargets'], ['*']);
    this.allow(
      ['RegisterScalableTarget', 'DeregisterScalableTarget', 'PutScalingPolicy'].map(
        (call) => `application-autoscaling:${call}`,
      ),
      [targets],
      {
        reason: 'Application Auto Scaling numbers its targets; those of SageMaker alone are allowed',
        conditions: { StringEquals: { 'application-autoscaling:service-namespace': 'sagemaker' } },
      },
    );
    const alarm = (name: string) => Stack.of(this).formatArn({ service: 'cloudwatch', resource: `alarm:${name}` });
    this.allow(
      ['cloudwatch:PutMetricAlarm', 'cloudwatch:DescribeAlarms', 'cloudwatch:DeleteAlarms'],
      [alarm(`TargetTracking-endpoint/${endpointName}/*`), alarm(`${endpointName}-*-wake-up`)],
      { reason: 'the alarms that scale this endpoint: Application Auto Scaling puts a number behind their names' },
    );
    this.allow(
      ['sagemaker:DescribeEndpoint', 'sagemaker:UpdateEndpointWeightsAndCapacities'],
      bothCases(endpointName).map((name) => this.arn(`endpoint/${name}`)),
    );
    this.allow(['iam:CreateServiceLinkedRole'], [`arn:${partition}:iam::${account}:${SERVICE_LINKED}`], {
      conditions: { StringLike: { 'iam:AWSServiceName': 'sagemaker.application-autoscaling.amazonaws.com' } },
    });
  }
}

function of(noun: string): string[] {
  return ['Create', 'Describe', 'Delete'].map((verb) => `sagemaker:${verb}${noun}`).concat('sagemaker:AddTags');
}
