// The checker on definitions that others wrote: those of AWS's SageMaker Python SDK have no finding, and each defect that is planted has one.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { check, type Definition } from '../../../../lib/pipeline';
import { packageRoot } from '../../../../training/native/cache';
import type { Change, Changeable, Whole } from '../defects/planted';

const read = (name: string) =>
  JSON.parse(readFileSync(join(packageRoot, 'test', 'fixtures', 'sdk', `${name}.json`), 'utf8'));

const DEFINITIONS = [
  'processing',
  'training',
  'tuning',
  'models',
  'endpoints',
  'decisions',
  'checks',
  'elsewhere',
  'script-mode',
] as const;

for (const name of DEFINITIONS) {
  test(`${name}: nothing is wrong`, () => {
    assert.deepEqual(check(read(name) as Definition), []);
  });
}

type Planted = readonly [from: (typeof DEFINITIONS)[number], step: string, change: Change, finding: RegExp];

/** What people get wrong in the Python SDK, which lets it through. */
const PLANTED: Readonly<Record<string, Planted>> = {
  'an output that nobody writes': [
    'processing',
    'Evaluate',
    (args) => {
      args.ProcessingInputs[0].S3Input.S3Uri = {
        Get: "Steps.Split.ProcessingOutputConfig.Outputs['trian'].S3Output.S3Uri",
      };
    },
    /refers to the output trian, which step Split does not produce.*its outputs are/s,
  ],
  'a property file in no output': [
    'processing',
    'Evaluate',
    (_, step) => {
      step.PropertyFiles[0].OutputName = 'metrics';
    },
    /property file Report is in the output metrics, which it does not produce/,
  ],
  'a longest wait below the run time': [
    'training',
    'Train',
    (args) => {
      args.EnableManagedSpotTraining = true;
      args.CheckpointConfig = { S3Uri: 's3://bucket/checkpoints' };
      delete args.ResourceConfig.KeepAlivePeriodInSeconds;
      args.StoppingCondition = { MaxRuntimeInSeconds: 3600, MaxWaitTimeInSeconds: 60 };
    },
    /MaxWaitTimeInSeconds is 60, less than MaxRuntimeInSeconds, 3600/,
  ],
  'a metric that the regular expressions do not find': [
    'tuning',
    'Bayesian',
    (args) => {
      args.HyperParameterTuningJobConfig.HyperParameterTuningJobObjective.MetricName = 'valid_dice';
    },
    /its objective is the metric valid_dice, which TrainingJobDefinition does not emit/,
  ],
  'a warm pool of a tuning': [
    'tuning',
    'Random',
    (args) => {
      args.TrainingJobDefinition.ResourceConfig = {
        InstanceType: 'ml.g5.xlarge',
        InstanceCount: 1,
        VolumeSizeInGB: 30,
        KeepAlivePeriodInSeconds: 60,
      };
    },
    /asks for a warm pool, which tuning jobs do not have/,
  ],
  'Hyperband without its bounds': [
    'tuning',
    'Hyperband',
    (args) => {
      delete args.HyperParameterTuningJobConfig.StrategyConfig;
    },
    /Hyperband, without the bounds/,
  ],
  'an instance type that no transform has': [
    'models',
    'Predict',
    (args) => {
      args.TransformResources.InstanceType = 'ml.t3.nano';
    },
    /TransformResources\.InstanceType is ml\.t3\.nano, which is no TransformInstanceType/,
  ],
  'an artifact that a training does not have': [
    'models',
    'Make-CreateModel',
    (args) => {
      args.PrimaryContainer.ModelDataUrl = { Get: 'Steps.Train.ModelArtifacts.S3Model' };
    },
    /a ModelArtifacts has no S3Model\..*S3ModelArtifacts/s,
  ],
  'a part of a capture that is out of range': [
    'endpoints',
    'Configure',
    (args) => {
      args.DataCaptureConfig = {
        EnableCapture: true,
        InitialSamplingPercentage: 101,
        DestinationS3Uri: 's3://bucket/capture',
        CaptureOptions: [{ CaptureMode: 'Input' }],
      };
    },
    /InitialSamplingPercentage is 101/,
  ],
  'an answer that a function does not give': [
    'decisions',
    'Wait',
    (args) => {
      args.score = { Get: "Steps.Ask.OutputParameters['socre']" };
    },
    /refers to the output socre, which step Ask does not declare/,
  ],
  'a credential inside a branch': [
    'decisions',
    'Train',
    (args) => {
      args.HyperParameters = { ...args.HyperParameters, wandb_api_key: 'a'.repeat(40) };
    },
    /HyperParameters\.wandb_api_key has a Weights & Biases key/,
  ],
  'a branch that waits for its own condition': [
    'decisions',
    'Gate',
    (_, step) => {
      step.DependsOn = ['Train'];
    },
    /it waits for itself: Gate -> Train -> Gate/,
  ],
  'a text compared with a number': [
    'decisions',
    'Gate',
    (args) => {
      args.Conditions.push({ Type: 'Equals', LeftValue: { Get: 'Parameters.Mode' }, RightValue: 1 });
    },
    /compares a text.*with a number, 1/,
  ],
  'the check of one kind on the other': [
    'checks',
    'Bias',
    (_, step) => {
      step.CheckType = 'MODEL_QUALITY';
    },
    /its CheckType is MODEL_QUALITY.*DATA_BIAS/s,
  ],
  'a baseline that a bias check does not have': [
    'checks',
    'Quality',
    (_, step) => {
      step.Environment = { baseline: { Get: 'Steps.Bias.CalculatedBaselineStatistics' } };
    },
    /a ClarifyCheck step has no CalculatedBaselineStatistics/,
  ],
  'AutoML in another mode': [
    'elsewhere',
    'Table',
    (args) => {
      args.AutoMLJobConfig.Mode = 'HYPERPARAMETER_TUNING';
    },
    /Mode is HYPERPARAMETER_TUNING; pipelines run no other than ENSEMBLING/,
  ],
  'an image without its registry': [
    'script-mode',
    'One',
    (args) => {
      args.AlgorithmSpecification.TrainingImage = 'pytorch-training:2.6.0-gpu-py312';
    },
    /TrainingImage is pytorch-training.*, which is no URI of an image/,
  ],
};

/** The step of that name, in branches too. */
function stepOf(steps: readonly Changeable[], name: string): Changeable | undefined {
  const inside = (step: Changeable) => [...(step.Arguments?.IfSteps ?? []), ...(step.Arguments?.ElseSteps ?? [])];
  const direct = steps.find(({ Name }) => Name === name);
  return direct ?? steps.map((step) => stepOf(inside(step), name)).find((step) => step !== undefined);
}

for (const [what, [from, name, change, expected]] of Object.entries(PLANTED)) {
  test(`${from}: ${what} is the one finding`, () => {
    const definition = read(from) as Whole;
    const step = stepOf(definition.Steps, name) as Changeable;
    change(step.Arguments, step, definition);
    const findings = check(definition);
    assert.equal(findings.length, 1, JSON.stringify(findings, null, 1));
    assert.equal(findings[0]?.where, `step ${name}`);
    assert.match(`${findings[0]?.problem} ${findings[0]?.fix}`, expected);
  });
}
