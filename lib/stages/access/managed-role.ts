// A role of one managed policy, each of whose statements says why it is as wide as it is.
import { type Duration, Stack } from 'aws-cdk-lib';
import {
  type AddToPrincipalPolicyResult,
  type IPrincipal,
  ManagedPolicy,
  PolicyStatement,
  Role,
  ServicePrincipal,
} from 'aws-cdk-lib/aws-iam';
import type { Construct } from 'constructs';
import { acknowledge } from '../checks/acknowledge';

export interface ManagedRoleProps {
  readonly description: string;
  /** The service that assumes it, for this account alone; needed unless `assumedBy` is given. @default none */
  readonly service?: string;
  /** What else the service must say, e.g. for which resource. @default nothing */
  readonly conditions?: Readonly<Record<string, Record<string, unknown>>>;
  /** Who assumes it. @default the service */
  readonly assumedBy?: IPrincipal;
  /** @default an hour */
  readonly maxSessionDuration?: Duration;
}

export class ManagedRole extends Role {
  /** All that it may do. */
  readonly policy: ManagedPolicy;

  constructor(scope: Construct, id: string, props: ManagedRoleProps) {
    const { description, service = '', conditions = {}, maxSessionDuration } = props;
    const { StringEquals = {}, ...others } = conditions;
    super(scope, id, {
      description,
      // nobody else's SageMaker may use it: https://docs.aws.amazon.com/IAM/latest/UserGuide/confused-deputy.html
      assumedBy:
        props.assumedBy ??
        new ServicePrincipal(service, {
          conditions: { StringEquals: { 'aws:SourceAccount': Stack.of(scope).account, ...StringEquals }, ...others },
        }),
      ...(maxSessionDuration && { maxSessionDuration }),
    });
    // a managed one, for the HIPAA and NIST packs refuse inline policies
    this.policy = new ManagedPolicy(this, 'Policy', { description, roles: [this] });
  }

  /** Into the one policy, whoever grants it: grants go to an inline policy otherwise. */
  override addToPrincipalPolicy(statement: PolicyStatement): AddToPrincipalPolicyResult {
    this.policy.addStatements(statement);
    for (const action of statement.actions.filter((name) => /^kms:.*\*$/.test(name))) {
      acknowledge(this.policy, {
        id: `AwsSolutions-IAM5[Action::${action}]`,
        reason: 'the variants of one call, with one key: as CDK grants it',
      });
    }
    for (const resource of statement.resources.filter((arn) => arn.endsWith(':network-interface/*'))) {
      this.acknowledgeWildcard(
        resource,
        'EC2 numbers the network interfaces that SageMaker makes; subnets and groups are named',
      );
    }
    return { statementAdded: true, policyDependable: this.policy };
  }

  /** @param reason why the resources cannot be named more narrowly, where they have a wildcard */
  allow(
    actions: readonly string[],
    resources: readonly string[],
    { reason, conditions }: { reason?: string; conditions?: Record<string, unknown> } = {},
  ): void {
    this.policy.addStatements(
      new PolicyStatement({ actions: [...actions], resources: [...resources], ...(conditions && { conditions }) }),
    );
    if (reason === undefined) return;
    for (const resource of resources.filter((arn) => arn.includes('*'))) this.acknowledgeWildcard(resource, reason);
  }

  /** One finding of cdk-nag's AwsSolutions-IAM5, by the name that it gives it. */
  acknowledgeWildcard(resource: string, reason: string): void {
    const id = `AwsSolutions-IAM5[Resource::${flatten(Stack.of(this).resolve(resource))}]`;
    acknowledge(this.policy, { id, reason });
  }
}

/** An ARN as cdk-nag writes it: references in angle brackets. */
function flatten(value: unknown): string {
  if (typeof value !== 'object' || value === null) return String(value);
  const [[key, argument] = []] = Object.entries(value);
  if (key === 'Ref') return `<${argument}>`;
  if (key === 'Fn::GetAtt') return `<${(argument as string[]).join('.')}>`;
  if (key === 'Fn::Join') return (argument as [string, unknown[]])[1].map(flatten).join(argument[0]);
  return JSON.stringify(value);
}
