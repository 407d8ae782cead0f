// How broad a role of the template is: the policies on it that allow all of AWS, or all of a service on every resource.
import { CfnResource, Stack } from 'aws-cdk-lib';
import { CfnManagedPolicy, CfnPolicy, CfnRole } from 'aws-cdk-lib/aws-iam';
import type { IConstruct } from 'constructs';

/** AWS's own policies that a machine's role should not have. */
const BROAD_POLICY = /\/(AdministratorAccess|PowerUserAccess|\w*FullAccess)$/;

interface Statement {
  readonly Effect?: string;
  readonly Action?: string | readonly string[];
  readonly NotAction?: unknown;
  readonly Resource?: unknown;
}

function broadIn(document: { readonly Statement?: Statement | readonly Statement[] } | undefined): string[] {
  return [document?.Statement ?? []].flat().flatMap(({ Effect, Action, NotAction, Resource }: Statement) => {
    if (Effect !== 'Allow' || ![Resource].flat().includes('*')) return [];
    if (NotAction !== undefined) return ['NotAction'];
    return [Action ?? []]
      .flat()
      .filter((action) => /^(\*|[\w-]+:\*)$/.test(action))
      .map((action) => `Action::${action}`);
  });
}

/** The text that ends an ARN, of which CDK writes the beginning as references. */
function lastText(arn: unknown): string {
  if (typeof arn === 'string') return arn;
  const parts = (arn as { 'Fn::Join'?: [string, unknown[]] })?.['Fn::Join']?.[1] ?? [];
  return String(parts.at(-1) ?? '');
}

/**
 * What makes a role broad, by the names of the policies or actions.
 *
 * @param logicalId of the role; one that is not in the stack cannot be looked into, and is not broad
 */
export function breadthOf(scope: IConstruct, logicalId: string): string[] {
  const stack = Stack.of(scope);
  const resolve = (value: unknown) => stack.resolve(value);
  const refersTo = (roles: unknown) =>
    ((resolve(roles) ?? []) as unknown[]).some((role) => (role as { Ref?: string })?.Ref === logicalId);
  const broad = stack.node
    .findAll()
    .filter(CfnResource.isCfnResource)
    .flatMap((resource) => {
      if (resource instanceof CfnRole && resolve(resource.logicalId) === logicalId) {
        const managed = ((resolve(resource.managedPolicyArns) ?? []) as unknown[]).map(lastText);
        const inline = (resolve(resource.policies) ?? []) as { PolicyDocument?: object; policyDocument?: object }[];
        return [
          ...managed.flatMap((arn) => BROAD_POLICY.exec(arn)?.[1] ?? []),
          ...inline.flatMap((policy) => broadIn(resolve(policy.policyDocument ?? policy.PolicyDocument))),
        ];
      }
      if ((resource instanceof CfnPolicy || resource instanceof CfnManagedPolicy) && refersTo(resource.roles)) {
        return broadIn(resolve(resource.policyDocument));
      }
      return [];
    });
  return [...new Set(broad)];
}
