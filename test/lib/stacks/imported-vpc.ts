// A VPC with a private subnet, as an app imports one that is there already.
import { App, Stack } from 'aws-cdk-lib';
import { type IVpc, Vpc } from 'aws-cdk-lib/aws-ec2';

export function importedVpc(): IVpc {
  return Vpc.fromVpcAttributes(new Stack(new App(), 'Imports'), 'Vpc', {
    vpcId: 'vpc-0123456789abcdef0',
    availabilityZones: ['a'],
    privateSubnetIds: ['subnet-0123456789abcdef0'],
  });
}
