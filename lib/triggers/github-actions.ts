// A trigger: the workflows of one GitHub repository start pipelines, with no stored credentials: GitHub's OIDC tokens are exchanged for a role.
import { Duration, Stack, Token } from 'aws-cdk-lib';
import { type IOidcProvider, OidcProviderNative, WebIdentityPrincipal } from 'aws-cdk-lib/aws-iam';
import type { IPipeline } from 'aws-cdk-lib/aws-sagemaker';
import { Construct } from 'constructs';
import { ManagedRole } from '../stages/access/managed-role';
import { Refusals } from '../stages/checks/refusals';
import { executionArns, grantRead } from '../stages/sagemaker-pipeline';

/** Which repositories may do what. */
export interface GitHubActionsProps {
  /** OWNER/NAME. */
  readonly repository: string;
  /** Branches whose workflows may take the role. @default none */
  readonly branches?: readonly string[];
  /** Environments whose jobs may take the role: GitHub guards them by reviewers and rules. @default none */
  readonly environments?: readonly string[];
  /** What they may start and watch. @default none */
  readonly pipelines?: readonly IPipeline[];
  /** Whether they may stop executions too. @default false */
  readonly mayStop?: boolean;
  /**
   * Whether they may run `cdk deploy` in this stack's account and region, through the roles that `cdk bootstrap` has made there.
   * Those may change all that is deployed with them: prefer an environment with reviewers to a branch.
   *
   * @default false
   */
  readonly mayDeploy?: boolean;
  /** By which `cdk bootstrap` named its roles. @default that of the stack's synthesizer */
  readonly bootstrapQualifier?: string;
  /** GitHub's provider in this account, which can have but one: `OidcProviderNative.fromOidcProviderArn`. @default one is made */
  readonly provider?: IOidcProvider;
  /** For how long a job may keep the role, from 1 to 12 hours; a job that waits for an execution needs as long as that. @default an hour */
  readonly maxSessionDuration?: Duration;
}

const ISSUER = 'token.actions.githubusercontent.com';

/** As GitHub has them: https://docs.github.com/en/actions/reference/security/oidc */
const REPOSITORY = /^[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\/[A-Za-z0-9._-]+$/;

function check(construct: Construct, props: GitHubActionsProps): void {
  const refusals = new Refusals(construct);
  const { repository, branches = [], environments = [], pipelines = [], mayDeploy = false, maxSessionDuration } = props;
  if (!Token.isUnresolved(repository) && !REPOSITORY.test(repository)) {
    const fix = 'name one repository; others get a role of their own';
    refusals.add('repository', `'${repository}'`, 'OWNER/NAME, without wildcards', fix);
  }
  const names = { branches, environments };
  for (const [prop, list] of Object.entries(names)) {
    for (const name of list.filter((text) => !Token.isUnresolved(text) && (text === '' || /[*?]/.test(text)))) {
      const fix = 'name each; for many branches, let their jobs use one environment';
      refusals.add(prop, `'${name}'`, 'names without wildcards', fix);
    }
  }
  for (const name of branches.filter((text) => text.startsWith('refs/')))
    refusals.add('branches', `'${name}'`, 'the name of a branch', `write it as ${name.replace(/^refs\/heads\//, '')}`);
  for (const name of environments.filter((text) => text.includes(':')))
    refusals.add('environments', `'${name}'`, 'names without a colon', 'GitHub writes it as %3A: give it so');
  if (branches.length + environments.length === 0) {
    const fix = 'name a branch in branches, or an environment in environments';
    refusals.add('branches', 'left out, and so is environments', 'at least one of them, or any fork could ask', fix);
  }
  if (pipelines.length === 0 && !mayDeploy) {
    const fix = 'name the pipelines, or set mayDeploy';
    refusals.add('pipelines', 'empty, without mayDeploy', 'something that the role is for', fix);
  }
  refusals.within('maxSessionDuration', maxSessionDuration, Duration.hours(1), Duration.hours(12));
  refusals.throwIfAny();
}

/**
 * The role that `aws-actions/configure-aws-credentials` takes in a workflow with `permissions: id-token: write`; then
 * `npx scanline start NAME --wait` starts the pipeline, and fails where the execution does.
 */
export class GitHubActions extends Construct {
  /** For `role-to-assume` of aws-actions/configure-aws-credentials. */
  readonly role: ManagedRole;
  /** The account's, one for all repositories. */
  readonly provider: IOidcProvider;

  /** @throws PipelineError naming all that is wrong with the trigger */
  constructor(scope: Construct, id: string, props: GitHubActionsProps) {
    super(scope, id);
    check(this, props);
    const { repository, branches = [], environments = [], pipelines = [], maxSessionDuration } = props;
    this.provider =
      props.provider ??
      new OidcProviderNative(this, 'Provider', { url: `https://${ISSUER}`, clientIds: ['sts.amazonaws.com'] });
    const subjects = [
      ...branches.map((branch) => `repo:${repository}:ref:refs/heads/${branch}`),
      ...environments.map((environment) => `repo:${repository}:environment:${environment}`),
    ];
    this.role = new ManagedRole(this, 'Role', {
      description: `Workflows of ${repository} on GitHub`,
      assumedBy: new WebIdentityPrincipal(this.provider.oidcProviderArn, {
        StringEquals: { [`${ISSUER}:aud`]: 'sts.amazonaws.com', [`${ISSUER}:sub`]: subjects },
      }),
      ...(maxSessionDuration && { maxSessionDuration }),
    });
    for (const pipeline of pipelines) this.allowPipeline(pipeline, props);
    if (props.mayDeploy) this.allowDeployment(props);
  }

  private allowPipeline(pipeline: IPipeline, { mayStop = false }: GitHubActionsProps): void {
    pipeline.grantStartPipelineExecution(this.role);
    grantRead(pipeline, this.role);
    const executions = executionArns(pipeline);
    if (mayStop) this.role.allow(['sagemaker:StopPipelineExecution'], executions);
    for (const arn of executions)
      this.role.acknowledgeWildcard(arn, 'the executions of one pipeline: SageMaker chooses their names');
  }

  /** https://docs.aws.amazon.com/cdk/v2/guide/bootstrapping-env.html */
  private allowDeployment({ bootstrapQualifier }: GitHubActionsProps): void {
    const { account, region, partition, synthesizer } = Stack.of(this);
    const qualifier = bootstrapQualifier ?? synthesizer.bootstrapQualifier ?? 'hnb659fds';
    const roles = ['deploy', 'file-publishing', 'image-publishing', 'lookup'].map(
      (kind) => `arn:${partition}:iam::${account}:role/cdk-${qualifier}-${kind}-role-${account}-${region}`,
    );
    this.role.allow(['sts:AssumeRole'], roles);
  }
}
