// A small pipeline in a stack of its own, for tests of what is built around a pipeline.
import assert from 'node:assert/strict';
import { App, type CfnElement, Stack } from 'aws-cdk-lib';
import type { Template } from 'aws-cdk-lib/assertions';
import { Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import {
  ByocImage,
  ByocTraining,
  type ByocTrainingProps,
  type Finding,
  ParameterInteger,
  ParameterString,
  PipelineError,
  SageMakerPipeline,
} from '../../lib';
import { temporaryFolder } from '../training/temporary-folder';

export interface SmallPipeline {
  readonly stack: Stack;
  readonly training: ByocTraining;
  readonly pipeline: SageMakerPipeline;
}

/** A pipeline of one training step, named Planes, with the parameters InputData, Epochs and Size. */
export function smallPipeline(props: Partial<ByocTrainingProps> = {}): SmallPipeline {
  const context = { '@aws-cdk/aws-iam:minimizePolicies': true };
  const stack = new Stack(new App({ outdir: temporaryFolder(), context }), 'Test');
  const data = new ParameterString('InputData', { defaultValue: 's3://images/raw' });
  const role = new Role(stack, 'Role', { assumedBy: new ServicePrincipal('sagemaker.amazonaws.com') });
  const training = new ByocTraining(stack, 'Train', {
    channels: { train: data },
    output: 's3://b/out',
    image: ByocImage.fromUri(stack, 'Image', 'registry.test/other:1'),
    role,
    ...props,
  });
  const pipeline = new SageMakerPipeline(stack, 'Pipeline', {
    pipelineName: 'Planes',
    role,
    steps: [training.step],
    parameters: [
      data,
      new ParameterInteger('Epochs', { defaultValue: 5 }),
      new ParameterString('Size', { defaultValue: 'small', enumValues: ['small', 'large'] }),
    ],
  });
  return { stack, training, pipeline };
}

/** The findings that something is refused with, each checked for its form. */
export function findingsOf(build: () => unknown): readonly Finding[] {
  try {
    build();
  } catch (error) {
    assert.ok(error instanceof PipelineError, String((error as Error).stack));
    for (const { problem, fix } of error.findings) {
      assert.match(problem, /^\S+ is .+; allowed is .+\.$/s);
      assert.match(fix, /.\.$/);
    }
    return error.findings;
  }
  return [];
}

/** The props that something is refused for. */
export function refusedProps(build: () => unknown): string[] {
  return findingsOf(build).map(({ problem }) => problem.slice(0, problem.indexOf(' is ')));
}

/** All statements of the policies that a role has, resolved. */
export function statementsOf(template: Template, role: Role): Record<string, unknown>[] {
  const id = Stack.of(role).getLogicalId(role.node.defaultChild as CfnElement);
  const policies = ['AWS::IAM::ManagedPolicy', 'AWS::IAM::Policy'].flatMap((type) =>
    Object.values(template.findResources(type)),
  );
  return policies
    .filter(({ Properties }) => Properties.Roles?.some((entry: { Ref: string }) => entry.Ref === id))
    .flatMap(({ Properties }) => Properties.PolicyDocument.Statement);
}

/** All actions that a role is allowed, in the order of the alphabet. */
export function actionsOf(template: Template, role: Role): string[] {
  return [...new Set(statementsOf(template, role).flatMap(({ Action }) => Action as string | string[]))].sort();
}

/** The logical id of the only resource of a type whose id begins so. */
export function idOf(template: Template, type: string, prefix = ''): string {
  const ids = Object.keys(template.findResources(type)).filter((id) => id.startsWith(prefix));
  assert.equal(ids.length, 1, `${type} ${prefix}: ${ids}`);
  return ids[0] as string;
}
