// What is right, and looks like a defect, gives no finding.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StepDefinition } from '../../../../lib/pipeline';
import { type Change, changed, strategy, whole } from './planted';

/** As CDK writes what is not known yet. */
const token = (number: number) => `\${Token[TOKEN.${number}]}`;

const right: Record<string, readonly [step: string, change: Change]> = {
  'the ARN of a secret': ['Train', (args) => Object.assign(args.HyperParameters, { wandb_api_key: 'arn:aws:x:y' })],
  'a tokenizer’s token': ['Train', (args) => Object.assign(args.HyperParameters, { pad_token: '<pad>' })],
  'an image by its digest': [
    'Train',
    (args) => {
      args.AlgorithmSpecification.TrainingImage = `registry.test:5000/a/b@sha256:${'0'.repeat(64)}`;
    },
  ],
  'a placeholder of CDK': [
    'Train',
    (args) => {
      args.RoleArn = token(7);
      args.ResourceConfig.InstanceType = token(8);
      args.ResourceConfig.InstanceCount = -1.8881545897087626e289;
      args.OutputDataConfig.S3OutputPath = `s3://${token(9)}/models`;
    },
  ],
  'a function of CloudFormation': [
    'Train',
    (args) => {
      args.RoleArn = { 'Fn::GetAtt': ['Role', 'Arn'] };
      args.Tags = { Ref: 'Tags' };
    },
  ],
  "a metric of one of AWS's own algorithms": [
    'Tune',
    (args) => {
      const job = args.TrainingJobDefinition.AlgorithmSpecification;
      delete job.MetricDefinitions;
      job.TrainingImage = '492215442770.dkr.ecr.eu-central-1.amazonaws.com/sagemaker-xgboost:1.7-1';
      strategy(args).HyperParameterTuningJobObjective.MetricName = 'validation:rmse';
    },
  ],
  'a job whose name is given, as AWS’s SDK does with custom prefixes': [
    'Train',
    (args) => {
      args.TrainingJobName = 'mine';
    },
  ],
};

for (const [what, [step, change]] of Object.entries(right)) {
  test(`${what} is no finding`, () => {
    assert.deepEqual(changed(step, change), []);
  });
}

test('the whole pipeline has a step of every type that can be made', () => {
  const types = (JSON.parse(whole).Steps as StepDefinition[]).map(({ Type }) => Type);
  assert.equal(new Set(types).size, 16);
});
