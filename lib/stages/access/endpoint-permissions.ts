// What the role of a pipeline needs for the steps that deploy, whose names are chosen by whoever writes the pipeline.
import { Token } from 'aws-cdk-lib';
import type { StepDefinition } from '../../pipeline';

/** A statement of a policy before it has ARNs. */
export interface Permission {
  readonly actions: readonly string[];
  /** What stands in ARNs behind the account, with the service before it. */
  readonly resources: readonly { readonly service: 'sagemaker' | 'cloudwatch'; readonly resource: string }[];
}

type Fields = Readonly<Record<string, unknown>>;

/** A name as it is given and as SageMaker writes it in ARNs, in lower case; IAM tells them apart. */
export function bothCases(name: string): string[] {
  // a token's name is its own
  return Token.isUnresolved(name) ? [name] : [...new Set([name, name.toLowerCase()])];
}

/** A text of the definition, with a wildcard for what is known only when the pipeline runs. */
function pattern(value: unknown, steps: readonly StepDefinition[]): string {
  if (typeof value === 'string') return value;
  const { Get, 'Std:Join': join } = (value ?? {}) as { Get?: string; 'Std:Join'?: { On: string; Values: unknown[] } };
  if (join) return join.Values.map((part) => pattern(part, steps)).join(join.On);
  // what another step is called by: Steps.NAME.EndpointConfigName
  const [root, name, member, ...rest] = Get?.split('.') ?? [];
  if (root !== 'Steps' || member === undefined || rest.length > 0) return '*';
  const given = steps.find(({ Name }) => Name === name)?.Arguments?.[member];
  return given === undefined ? '*' : pattern(given, steps);
}

function alarmsOf({ Arguments }: StepDefinition): unknown[] {
  const rollback = (Arguments?.DeploymentConfig as Fields | undefined)?.AutoRollbackConfiguration as Fields | undefined;
  return ((rollback?.Alarms ?? []) as Fields[]).map(({ AlarmName }) => AlarmName);
}

/** https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsagemaker.html */
export function endpointPermissions(steps: readonly StepDefinition[]): Permission[] {
  const named = (kind: string, step: StepDefinition, member: string) =>
    bothCases(pattern(step.Arguments?.[member], steps)).map((name) => ({
      service: 'sagemaker' as const,
      resource: `${kind}/${name}`,
    }));
  const calls = (noun: string, ...verbs: string[]) => verbs.map((verb) => `sagemaker:${verb}${noun}`);
  return steps.flatMap((step): Permission[] => {
    switch (step.Type) {
      case 'EndpointConfig': {
        const resources = named('endpoint-config', step, 'EndpointConfigName');
        return [{ actions: [...calls('EndpointConfig', 'Create', 'Describe'), 'sagemaker:AddTags'], resources }];
      }
      case 'Endpoint': {
        const resources = named('endpoint', step, 'EndpointName');
        const configs = named('endpoint-config', step, 'EndpointConfigName');
        const alarms = alarmsOf(step).map((alarm) => ({
          service: 'cloudwatch' as const,
          resource: `alarm:${pattern(alarm, steps)}`,
        }));
        return [
          { actions: [...calls('Endpoint', 'Describe'), 'sagemaker:AddTags'], resources },
          { actions: calls('Endpoint', 'Create', 'Update'), resources: [...resources, ...configs] },
          ...(alarms.length > 0 ? [{ actions: ['cloudwatch:DescribeAlarms'], resources: alarms }] : []),
        ];
      }
      case 'InferenceComponent': {
        const resources = named('inference-component', step, 'InferenceComponentName');
        const endpoints = named('endpoint', step, 'EndpointName');
        return [
          { actions: [...calls('InferenceComponent', 'Describe'), 'sagemaker:AddTags'], resources },
          { actions: calls('InferenceComponent', 'Create', 'Update'), resources: [...resources, ...endpoints] },
        ];
      }
      default:
        return [];
    }
  });
}
