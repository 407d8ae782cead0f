// A training stack with all that is built around a pipeline: what the rule packs of cdk-nag and AWS's own linter say of it.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { App, Duration, TimeZone } from 'aws-cdk-lib';
import { ScheduleExpression } from 'aws-cdk-lib/aws-scheduler';
import { Secret } from 'aws-cdk-lib/aws-secretsmanager';
import { AwsSolutionsChecks, HIPAASecurityChecks, NIST80053R5Checks } from 'cdk-nag';
import {
  AwaitedExecution,
  Budget,
  GitHubActions,
  type JobRole,
  ModelApproval,
  NewData,
  Notification,
  PipelineDashboard,
  PipelineSchedule,
  Tracking,
  TrainingStack,
} from '../../../lib';
import { ScanlineChecks } from '../../../lib/nag';
import { packageRoot } from '../../../training/native/cache';
import { temporaryFolder } from '../../training/temporary-folder';

const WANDB = 'arn:aws:secretsmanager:us-east-1:111122223333:secret:wandb-AbCdEf';

/** As `cdk synth` has it, for policies that are merged have other findings. */
function operated(): TrainingStack {
  const context = { '@aws-cdk/aws-iam:minimizePolicies': true };
  const stack = new TrainingStack(new App({ outdir: temporaryFolder(), context }), 'Test', { pipelineName: 'planes' });
  const { pipeline, dataset } = stack;
  const { bucket, key } = dataset;
  new PipelineSchedule(stack, 'Nightly', {
    pipeline,
    key,
    schedule: ScheduleExpression.cron({ hour: '2', minute: '0', timeZone: TimeZone.EUROPE_BERLIN }),
    parameters: { LeastAccuracy: 0.95 },
  });
  new NewData(stack, 'NewData', { pipeline, key, bucket, prefix: 'raw/' });
  new ModelApproval(stack, 'Approved', { pipeline, key, groupName: 'planes' });
  new AwaitedExecution(stack, 'Run', { pipeline, key });
  new GitHubActions(stack, 'GitHub', {
    repository: 'clinic/planes',
    environments: ['production'],
    pipelines: [pipeline],
    mayStop: true,
    mayDeploy: true,
  });
  const { topic } = new Notification(stack, 'Tell', {
    key,
    pipelines: [pipeline],
    modelPackageGroups: ['planes'],
    emails: ['mri@example.org'],
  });
  new PipelineDashboard(stack, 'Board', { pipeline, alarmTopic: topic, maxDuration: Duration.hours(6) });
  new Budget(stack, 'Costs', { monthlyLimit: 500, topic });
  const tracking = new Tracking(stack, 'Tracking', {
    serverName: 'planes',
    bucket,
    key,
    automaticModelRegistration: true,
    wandbSecret: Secret.fromSecretCompleteArn(stack, 'Wandb', WANDB),
  });
  tracking.grantTrack(stack.node.findChild('JobRole') as JobRole);
  return stack;
}

for (const [name, Pack] of Object.entries({
  AwsSolutionsChecks,
  HIPAASecurityChecks,
  NIST80053R5Checks,
  ScanlineChecks,
})) {
  test(`${name} finds nothing in what is built around a pipeline`, () => {
    const { violations } = new Pack().validateScope(operated());
    const found = violations.flatMap(({ ruleName, violatingResources }) =>
      violatingResources.map(({ constructPath }) => `${ruleName} at ${constructPath}`),
    );
    assert.deepEqual(found, []);
  });
}

const LINTER = join(packageRoot, '.oracle', 'bin', 'cfn-lint');
const skip = existsSync(LINTER) ? false : 'cfn-lint is not installed: `npm run oracle` does it';

// W3005: CDK's functions and state machines depend on their role by name, beside the reference that says so already
const OPTIONS = ['--non-zero-exit-code', 'warning', '--ignore-checks', 'W3005', '--'];

test('its template has neither errors nor warnings', { skip }, () => {
  const { directory } = (operated().node.root as App).synth();
  const file = join(directory, 'Test.template.json');
  const { status, stdout, stderr } = spawnSync(LINTER, [...OPTIONS, file], {
    encoding: 'utf8',
  });
  assert.equal(status, 0, `${stdout}${stderr}`);
});
