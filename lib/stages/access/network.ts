// A place in a VPC: the security groups and subnets of what SageMaker runs there, and what its role needs for them.
import { Stack } from 'aws-cdk-lib';
import { Connections, type ISecurityGroup, type IVpc, SecurityGroup, type SubnetSelection } from 'aws-cdk-lib/aws-ec2';
import { type IRole, PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { Construct } from 'constructs';
import type { Refuse } from '../checks/checks';

export interface NetworkSettings {
  /** The network that the containers run in. @default SageMaker's own */
  readonly vpc?: IVpc;
  /** @default the private subnets of the VPC */
  readonly subnets?: SubnetSelection;
  /** @default one is made, that allows all outbound */
  readonly securityGroups?: readonly ISecurityGroup[];
}

/** Where something is in a VPC. */
export interface Place {
  readonly connections: Connections;
  readonly subnetIds: readonly string[];
  readonly securityGroupIds: readonly string[];
}

/** Finds, or makes below the construct, what stands for it in its VPC; undefined where it is in none. */
export function placeIn(scope: Construct, settings: NetworkSettings, description: string): Place | undefined {
  const { vpc, subnets } = settings;
  if (!vpc) return undefined;
  const securityGroups = settings.securityGroups ?? [new SecurityGroup(scope, 'SecurityGroup', { vpc, description })];
  return {
    connections: new Connections({ securityGroups: [...securityGroups] }),
    subnetIds: vpc.selectSubnets(subnets).subnetIds,
    securityGroupIds: securityGroups.map(({ securityGroupId }) => securityGroupId),
  };
}

/** What a role needs in a VPC: https://docs.aws.amazon.com/sagemaker/latest/dg/sagemaker-roles.html */
export function grantNetworkInterfaces(scope: Construct, role: IRole, { subnetIds, securityGroupIds }: Place): void {
  const arn = (resource: string, resourceName: string) =>
    Stack.of(scope).formatArn({ service: 'ec2', resource, resourceName });
  role.addToPrincipalPolicy(
    new PolicyStatement({
      actions: ['Create', 'Delete'].flatMap((verb) => [
        `ec2:${verb}NetworkInterface`,
        `ec2:${verb}NetworkInterfacePermission`,
      ]),
      resources: [
        arn('network-interface', '*'),
        ...subnetIds.map((id) => arn('subnet', id)),
        ...securityGroupIds.map((id) => arn('security-group', id)),
      ],
    }),
  );
  const describe = ['NetworkInterfaces', 'Vpcs', 'DhcpOptions', 'Subnets', 'SecurityGroups'];
  // EC2 knows no resources for these
  role.addToPrincipalPolicy(
    new PolicyStatement({ actions: describe.map((what) => `ec2:Describe${what}`), resources: ['*'] }),
  );
}

export function checkNetwork({ vpc, subnets, securityGroups }: NetworkSettings, refuse: Refuse): void {
  if (vpc) {
    const given = securityGroups?.length;
    if (given === undefined || (given >= 1 && given <= 5)) return;
    refuse('securityGroups', `${given} of them`, '1 to 5', 'give that many, or leave them out for one of its own');
    return;
  }
  const fix = 'set vpc too';
  if (subnets) refuse('subnets', 'a selection without vpc', 'it with a VPC alone', fix);
  if (securityGroups) refuse('securityGroups', `${securityGroups.length} without vpc`, 'them with a VPC alone', fix);
}
