// GitHub's workflows: whom the role trusts, what it may do, and what is refused.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Duration, type Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { OidcProviderNative } from 'aws-cdk-lib/aws-iam';
import { GitHubActions, type GitHubActionsProps, type SageMakerPipeline } from '../../../lib';
import { actionsOf, idOf, refusedProps, smallPipeline, statementsOf } from '../small-pipeline';

type Props = Partial<GitHubActionsProps>;

function synth(props: (pipeline: SageMakerPipeline, stack: Stack) => Props = () => ({})) {
  const { stack, pipeline } = smallPipeline();
  const base = { repository: 'clinic/planes', branches: ['main'], pipelines: [pipeline] };
  const trigger = new GitHubActions(stack, 'GitHub', { ...base, ...props(pipeline, stack) });
  return { trigger, template: Template.fromStack(stack) };
}

function trust(template: Template): Record<string, unknown> {
  const role = template.findResources('AWS::IAM::Role')[idOf(template, 'AWS::IAM::Role', 'GitHub')];
  return role?.Properties.AssumeRolePolicyDocument.Statement[0];
}

test('it trusts the named branches and environments of one repository, letter by letter', () => {
  const { template } = synth(() => ({ branches: ['main', 'release/1'], environments: ['production'] }));
  assert.deepEqual(trust(template), {
    Effect: 'Allow',
    Action: 'sts:AssumeRoleWithWebIdentity',
    Principal: { Federated: { Ref: idOf(template, 'AWS::IAM::OIDCProvider') } },
    Condition: {
      StringEquals: {
        'token.actions.githubusercontent.com:aud': 'sts.amazonaws.com',
        'token.actions.githubusercontent.com:sub': [
          'repo:clinic/planes:ref:refs/heads/main',
          'repo:clinic/planes:ref:refs/heads/release/1',
          'repo:clinic/planes:environment:production',
        ],
      },
    },
  });
});

test("GitHub's provider is made as CloudFormation's own resource, or the account's is taken", () => {
  synth().template.hasResourceProperties('AWS::IAM::OIDCProvider', {
    Url: 'https://token.actions.githubusercontent.com',
    ClientIdList: ['sts.amazonaws.com'],
  });
  const arn = 'arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com';
  const { template } = synth((_, stack) => ({
    provider: OidcProviderNative.fromOidcProviderArn(stack, 'Theirs', arn),
  }));
  template.resourceCountIs('AWS::IAM::OIDCProvider', 0);
  assert.deepEqual(trust(template).Principal, { Federated: arn });
});

test('it may start and watch the pipeline, and neither stop nor change it', () => {
  const { template, trigger } = synth();
  assert.deepEqual(actionsOf(template, trigger.role), [
    'sagemaker:DescribePipeline',
    'sagemaker:DescribePipelineDefinitionForExecution',
    'sagemaker:DescribePipelineExecution',
    'sagemaker:ListPipelineExecutionSteps',
    'sagemaker:ListPipelineExecutions',
    'sagemaker:ListPipelineParametersForExecution',
    'sagemaker:StartPipelineExecution',
  ]);
  for (const { Resource } of statementsOf(template, trigger.role))
    assert.doesNotMatch(JSON.stringify(Resource), /"\*"|pipeline\/\*/);
});

test('it may stop executions where that is allowed', () => {
  const { template, trigger } = synth(() => ({ mayStop: true }));
  assert.ok(actionsOf(template, trigger.role).includes('sagemaker:StopPipelineExecution'));
});

test('it may deploy where that is allowed, through the four roles of this bootstrap alone', () => {
  const { template, trigger } = synth(() => ({ mayDeploy: true, pipelines: [], bootstrapQualifier: 'clinic' }));
  assert.deepEqual(actionsOf(template, trigger.role), ['sts:AssumeRole']);
  const text = JSON.stringify(statementsOf(template, trigger.role));
  const roles = [...text.matchAll(/role\/cdk-clinic-([a-z-]+)-role-/g)].map(([, kind]) => kind);
  assert.deepEqual(roles.sort(), ['deploy', 'file-publishing', 'image-publishing', 'lookup']);
});

test("without another, the bootstrap is that of the stack's synthesizer", () => {
  const { template, trigger } = synth(() => ({ mayDeploy: true }));
  assert.match(JSON.stringify(statementsOf(template, trigger.role)), /cdk-hnb659fds-deploy-role-/);
});

test('a job may keep the role for as long as is said', () => {
  synth(() => ({ maxSessionDuration: Duration.hours(6) })).template.hasResourceProperties('AWS::IAM::Role', {
    MaxSessionDuration: 21_600,
  });
});

const refused: Record<string, [Props, string[]]> = {
  'all repositories': [{ repository: '*' }, ['repository']],
  'all repositories of an owner': [{ repository: 'clinic/*' }, ['repository']],
  'a repository as the claim has it': [{ repository: 'repo:clinic/planes' }, ['repository']],
  'a wildcard in a branch': [{ branches: ['release/*'] }, ['branches']],
  'a branch as a ref': [{ branches: ['refs/heads/main'] }, ['branches']],
  'a wildcard for environments': [{ environments: ['*'] }, ['environments']],
  'an environment with a colon': [{ environments: ['a:b'] }, ['environments']],
  'neither a branch nor an environment': [{ branches: [] }, ['branches']],
  'a role for nothing': [{ pipelines: [] }, ['pipelines']],
  'a session of a day': [{ maxSessionDuration: Duration.days(1) }, ['maxSessionDuration']],
  'all of it, at once': [{ repository: 'a', branches: [], pipelines: [] }, ['repository', 'branches', 'pipelines']],
};

for (const [what, [props, findings]] of Object.entries(refused)) {
  test(`${what} is refused`, () => {
    assert.deepEqual(
      refusedProps(() => synth(() => props)),
      findings,
    );
  });
}
