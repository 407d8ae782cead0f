// One defect planted into a whole pipeline gives one finding, of the step, with the fix; what is right beside it gives none.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { check, Pipeline, type StepDefinition } from '../../../lib/pipeline';
import { ALL, MODE } from './whole-steps';

interface Changeable {
  // biome-ignore lint/suspicious/noExplicitAny: any part of a definition is made wrong here
  [key: string]: any;
}

interface Whole extends Changeable {
  Parameters: Changeable[];
  Steps: Changeable[];
}

const whole = JSON.stringify(new Pipeline('p', { parameters: [MODE], steps: ALL }).definition());

/** A copy of the whole pipeline, with a change to the arguments of one step, or to the step or all of it. */
function changed(name: string, change: (args: Changeable, step: Changeable, definition: Whole) => void) {
  const definition = JSON.parse(whole) as Whole;
  const step = definition.Steps.find(({ Name }) => Name === name) as Changeable;
  change(step.Arguments, step, definition);
  return check(definition);
}

type Change = Parameters<typeof changed>[1];

interface Planted {
  readonly step: string;
  readonly change: Change;
  readonly problem: RegExp;
  readonly fix: RegExp;
  /** @default the step */
  readonly where?: string;
}

const parameter = (Type: string, DefaultValue: unknown) => ({ Name: 'Planted', Type, DefaultValue });
const PLANTED = { Get: 'Parameters.Planted' };
const strategy = (args: Changeable) => args.HyperParameterTuningJobConfig;

const defects: Record<string, Planted> = {
  'a type of step that there is not': {
    step: 'Train',
    change: (_, step, { Steps }) => {
      Steps.length = 0;
      Steps.push({ ...step, Type: 'Trainings' });
    },
    problem: /its type is Trainings/,
    fix: /Training/,
  },
  'a reference to a property that the step does not have': {
    step: 'MakeModel',
    change: (args) => {
      args.PrimaryContainer.ModelDataUrl = { Get: 'Steps.Train.ModelArtifacts.S3ModelArtifact' };
    },
    problem: /Steps\.Train\.ModelArtifacts\.S3ModelArtifact; a ModelArtifacts has no S3ModelArtifact/,
    fix: /S3ModelArtifacts/,
  },
  'a reference to a step that answers nothing': {
    step: 'Configure',
    change: (args) => {
      args.EndpointConfigName = { Get: 'Steps.Gate.Outcome' };
    },
    problem: /a Condition step has nothing that can be referred to/,
    fix: /dependsOn/,
  },
  'a list that is gone on from without brackets': {
    step: 'MakeModel',
    change: (args) => {
      args.PrimaryContainer.Image = { Get: 'Steps.Train.InputDataConfig.ChannelName' };
    },
    problem: /where InputDataConfig is a list/,
    fix: /\[0\]/,
  },
  'an output of a function that it does not declare': {
    step: 'Wait',
    change: (args) => {
      args.score = { Get: "Steps.Ask.OutputParameters['nothing']" };
    },
    problem: /the output nothing, which step Ask does not declare/,
    fix: /verdict, score/,
  },
  'a variable of the execution that there is not': {
    step: 'Deploy',
    change: (args) => {
      args.EndpointName = { Get: 'Execution.Name' };
    },
    problem: /refers to Execution\.Name/,
    fix: /Execution\.PipelineName/,
  },
  'a reference that begins with nothing known': {
    step: 'Deploy',
    change: (args) => {
      args.EndpointName = { Get: 'Parameter.Mode' };
    },
    problem: /refers to Parameter\.Mode/,
    fix: /begin with Parameters/,
  },
  'a number where a text must be': {
    step: 'Deploy',
    change: (args) => {
      args.EndpointName = { Get: 'Steps.Train.TrainingTimeInSeconds' };
    },
    problem: /EndpointName is Steps\.Train\.TrainingTimeInSeconds, a number, and must be a text/,
    fix: /join\(''/,
  },
  'a text parameter where a number must be': {
    step: 'Train',
    change: (args) => {
      args.ResourceConfig.InstanceCount = { Get: 'Parameters.Mode' };
    },
    problem: /ResourceConfig\.InstanceCount is Parameters\.Mode, a text, and must be a number/,
    fix: /refer to a number/,
  },
  'a whole structure where a text must be': {
    step: 'MakeModel',
    change: (args) => {
      args.PrimaryContainer.ModelDataUrl = { Get: 'Steps.Train.ModelArtifacts' };
    },
    problem: /a structure, and must be a text/,
    fix: /refer to a text/,
  },
  'a text where a number must be': {
    step: 'Train',
    change: (args) => {
      args.ResourceConfig.InstanceCount = '1';
    },
    problem: /ResourceConfig\.InstanceCount is string 1, and must be a number/,
    fix: /a number/,
  },
  'a hyperparameter that is no text': {
    step: 'Train',
    change: (args) => {
      args.HyperParameters.epochs = 3;
    },
    problem: /HyperParameters\.epochs is number 3, and must be a text/,
    fix: /a text/,
  },
  'a missing argument': {
    step: 'Train',
    change: (args) => {
      delete args.RoleArn;
    },
    problem: /no RoleArn, which CreateTrainingJobRequest must have/,
    fix: /give it RoleArn/,
  },
  'a missing argument inside another': {
    step: 'Train',
    change: (args) => {
      delete args.OutputDataConfig.S3OutputPath;
    },
    problem: /no OutputDataConfig\.S3OutputPath/,
    fix: /give it OutputDataConfig\.S3OutputPath/,
  },
  'a missing argument of which there are two': {
    step: 'MakeModel',
    change: (args) => {
      delete args.PrimaryContainer;
    },
    problem: /no PrimaryContainer and no Containers/,
    fix: /PrimaryContainer or Containers/,
  },
  'a function without its ARN': {
    step: 'Ask',
    change: (_, step) => {
      delete step.FunctionArn;
    },
    problem: /no FunctionArn/,
    fix: /give it FunctionArn/,
  },
  'a cluster that is not named': {
    step: 'Spark',
    change: (args) => {
      delete args.ClusterId;
    },
    problem: /no ClusterId and no ClusterConfig/,
    fix: /ClusterId or ClusterConfig/,
  },
  'a member that there is not': {
    step: 'Train',
    change: (args) => {
      args.ResourceConfig.InstancType = 'ml.g5.xlarge';
    },
    problem: /ResourceConfig\.InstancType; ResourceConfig has no such member/,
    fix: /InstanceType/,
  },
  'an instance type that there is not': {
    step: 'Train',
    change: (args) => {
      args.ResourceConfig.InstanceType = 'ml.g5.xlrage';
    },
    problem: /InstanceType is ml\.g5\.xlrage, which is no TrainingInstanceType/,
    fix: /ml\.g5\.xlarge/,
  },
  'a default of a parameter that is no instance type': {
    step: 'Train',
    change: (args, _, { Parameters }) => {
      Parameters.push(parameter('String', 'ml.g5.xlrage'));
      args.ResourceConfig.InstanceType = PLANTED;
    },
    problem: /the default of parameter Planted\) is ml\.g5\.xlrage/,
    fix: /ml\.g5\.xlarge/,
  },
  'an instance type in a list': {
    step: 'Register',
    change: (args) => {
      args.InferenceSpecification.SupportedTransformInstanceTypes = ['ml.nothing'];
    },
    problem: /SupportedTransformInstanceTypes\[0\] is ml\.nothing, which is no TransformInstanceType/,
    fix: /ml\./,
  },
  'a number out of its range': {
    step: 'Split',
    change: (args) => {
      args.ProcessingResources.ClusterConfig.InstanceCount = 101;
    },
    problem: /InstanceCount is 101/,
    fix: /from 1 to 100/,
  },
  'a URI that is none of S3': {
    step: 'Train',
    change: (args) => {
      args.OutputDataConfig.S3OutputPath = 'bucket/models';
    },
    problem: /S3OutputPath is bucket\/models, which is no S3 URI/,
    fix: /s3:\/\/bucket\/prefix/,
  },
  'a joined URI that is none of S3': {
    step: 'Train',
    change: (args) => {
      args.OutputDataConfig.S3OutputPath = { 'Std:Join': { On: '/', Values: ['s3:', { Get: 'Parameters.Mode' }] } };
    },
    problem: /is s3:\/…, which is no S3 URI/,
    fix: /s3:\/\/bucket\/prefix/,
  },
  'a bucket with capitals': {
    step: 'Train',
    change: (args) => {
      args.OutputDataConfig.S3OutputPath = 's3://My_Bucket/models';
    },
    problem: /no bucket can be called My_Bucket/,
    fix: /lower-case/,
  },
  'an image without a registry': {
    step: 'Train',
    change: (args) => {
      args.AlgorithmSpecification.TrainingImage = 'python:3';
    },
    problem: /TrainingImage is python:3, which is no URI of an image/,
    fix: /with the registry/,
  },
  'an image with a scheme': {
    step: 'Split',
    change: (args) => {
      args.AppSpecification.ImageUri = `https://${args.AppSpecification.ImageUri}`;
    },
    problem: /is no URI of an image/,
    fix: /without https/,
  },
  'spot without checkpoints': {
    step: 'Train',
    change: (args) => {
      args.EnableManagedSpotTraining = true;
      args.StoppingCondition.MaxWaitTimeInSeconds = 7200;
    },
    problem: /without CheckpointConfig/,
    fix: /S3Uri/,
  },
  'spot without a longest wait': {
    step: 'Train',
    change: (args) => {
      args.EnableManagedSpotTraining = true;
      args.CheckpointConfig = { S3Uri: 's3://bucket/checkpoints' };
    },
    problem: /without StoppingCondition\.MaxWaitTimeInSeconds/,
    fix: /MaxWaitTimeInSeconds/,
  },
  'a wait that is shorter than the run': {
    step: 'Train',
    change: (args) => {
      args.StoppingCondition.MaxWaitTimeInSeconds = 3599;
    },
    problem: /MaxWaitTimeInSeconds is 3599, less than MaxRuntimeInSeconds, 3600/,
    fix: /at least 3600/,
  },
  'a warm pool with spot': {
    step: 'Train',
    change: (args) => {
      args.EnableManagedSpotTraining = true;
      args.CheckpointConfig = { S3Uri: 's3://bucket/checkpoints' };
      args.StoppingCondition.MaxWaitTimeInSeconds = 3600;
      args.ResourceConfig.KeepAlivePeriodInSeconds = 600;
    },
    problem: /warm pool, which spot training does not have/,
    fix: /leave out KeepAlivePeriodInSeconds/,
  },
  'a warm pool on a tuning job': {
    step: 'Tune',
    change: (args) => {
      args.TrainingJobDefinition.ResourceConfig.KeepAlivePeriodInSeconds = 600;
    },
    problem: /TrainingJobDefinition\.ResourceConfig.*warm pool, which tuning jobs do not have/,
    fix: /leave out KeepAlivePeriodInSeconds/,
  },
  'a metric that is not emitted': {
    step: 'Deploy',
    change: (args) => {
      const Value = { Get: "Steps.Train.FinalMetricDataList['accuracy'].Value" };
      args.EndpointName = { 'Std:Join': { On: '', Values: [Value] } };
    },
    problem: /the metric accuracy, which step Train does not emit/,
    fix: /there are: loss/,
  },
  'an objective that is not emitted': {
    step: 'Tune',
    change: (args) => {
      strategy(args).HyperParameterTuningJobObjective.MetricName = 'accuracy';
    },
    problem: /its objective is the metric accuracy/,
    fix: /there are: loss/,
  },
  'Hyperband without its bounds': {
    step: 'Tune',
    change: (args) => {
      strategy(args).Strategy = 'Hyperband';
    },
    problem: /Hyperband, without the bounds/,
    fix: /MinResource and MaxResource/,
  },
  'Hyperband with bounds that leave nothing': {
    step: 'Tune',
    change: (args) => {
      strategy(args).Strategy = 'Hyperband';
      strategy(args).StrategyConfig = { HyperbandStrategyConfig: { MinResource: 9, MaxResource: 9 } };
    },
    problem: /MinResource is 9, not less than MaxResource, 9/,
    fix: /MaxResource more/,
  },
  'Hyperband with early stopping': {
    step: 'Tune',
    change: (args) => {
      strategy(args).Strategy = 'Hyperband';
      strategy(args).StrategyConfig = { HyperbandStrategyConfig: { MinResource: 1, MaxResource: 9 } };
      strategy(args).TrainingJobEarlyStoppingType = 'Auto';
    },
    problem: /TrainingJobEarlyStoppingType is Auto/,
    fix: /Off/,
  },
  'a grid of numbers': {
    step: 'Tune',
    change: (args) => {
      strategy(args).Strategy = 'Grid';
    },
    problem: /Grid, with ranges of numbers/,
    fix: /CategoricalParameterRanges/,
  },
  'AutoML in a mode that pipelines do not run': {
    step: 'Table',
    change: (args) => {
      args.AutoMLJobConfig.Mode = 'AUTO';
    },
    problem: /Mode is AUTO/,
    fix: /ENSEMBLING/,
  },
  'a retry policy for what it cannot be': {
    step: 'MakeModel',
    change: (_, step) => {
      step.RetryPolicies = [{ ExceptionType: ['SageMaker.CAPACITY_ERROR'], MaxAttempts: 2 }];
    },
    problem: /for SageMaker\.CAPACITY_ERROR/,
    fix: /Step\.SERVICE_FAULT, Step\.THROTTLING/,
  },
  'a retry policy where there can be none': {
    step: 'Ask',
    change: (_, step) => {
      step.RetryPolicies = [{ ExceptionType: ['Step.THROTTLING'], MaxAttempts: 2 }];
    },
    problem: /a Lambda step cannot have/,
    fix: /leave them out/,
  },
  'a retry policy without an exception': {
    step: 'Train',
    change: (_, step) => {
      step.RetryPolicies = [{ MaxAttempts: 2 }];
    },
    problem: /names no exception/,
    fix: /CAPACITY_ERROR/,
  },
  'a retry policy without an end': {
    step: 'Train',
    change: (_, step) => {
      step.RetryPolicies = [{ ExceptionType: ['Step.THROTTLING'] }];
    },
    problem: /either MaxAttempts or ExpireAfterMin/,
    fix: /one of them/,
  },
  'too many attempts': {
    step: 'Train',
    change: (_, step) => {
      step.RetryPolicies = [{ ExceptionType: ['Step.THROTTLING'], MaxAttempts: 21 }];
    },
    problem: /MaxAttempts 21/,
    fix: /1 to 20/,
  },
  'attempts for too long': {
    step: 'Train',
    change: (_, step) => {
      step.RetryPolicies = [{ ExceptionType: ['Step.THROTTLING'], ExpireAfterMin: 14_401 }];
    },
    problem: /ExpireAfterMin 14401/,
    fix: /0 to 14400/,
  },
  'a cache of no duration': {
    step: 'Train',
    change: (_, step) => {
      step.CacheConfig = { Enabled: true, ExpireAfter: '30d' };
    },
    problem: /expires after 30d/,
    fix: /P30D/,
  },
  'a condition of no type that there is': {
    step: 'Gate',
    change: (args) => {
      args.Conditions = [{ Type: 'And', Conditions: [] }];
    },
    problem: /a condition of the type And/,
    fix: /Equals.*Or/,
  },
  'a condition that compares a text with a number, inside others': {
    step: 'Gate',
    change: (args) => {
      const inner = { Type: 'Equals', LeftValue: { Get: 'Parameters.Mode' }, RightValue: 3 };
      args.Conditions = [{ Type: 'Not', Condition: { Type: 'Or', Conditions: [inner] } }];
    },
    problem: /Equals compares a text.* with a number, 3/,
    fix: /one kind/,
  },
  'no condition at all': {
    step: 'Gate',
    change: (args) => {
      args.Conditions = [];
    },
    problem: /no Conditions/,
    fix: /at least one/,
  },
  'an Or of nothing': {
    step: 'Gate',
    change: (args) => {
      args.Conditions = [{ Type: 'Or', Conditions: [] }];
    },
    problem: /an Or of no conditions/,
    fix: /at least one/,
  },
  'a parameter of no type that there is': {
    step: 'Train',
    change: (_, __, { Parameters }) => void Parameters.push(parameter('Text', 'a')),
    where: 'parameter Planted',
    problem: /its type is Text/,
    fix: /String, Integer/,
  },
  'a default of another type': {
    step: 'Train',
    change: (_, __, { Parameters }) => void Parameters.push(parameter('Integer', 0.5)),
    where: 'parameter Planted',
    problem: /default is number 0\.5, and its type is Integer/,
    fix: /the one or the other/,
  },
  'more than 100 hyperparameters': {
    step: 'Train',
    change: (args) => {
      args.HyperParameters = Object.fromEntries(Array.from({ length: 101 }, (_, index) => [`h${index}`, '1']));
    },
    problem: /HyperParameters has 101 entries, and may have 100/,
    fix: /a file/,
  },
  'a hyperparameter with too long a name': {
    step: 'Tune',
    change: (args) => {
      args.TrainingJobDefinition.StaticHyperParameters = { ['h'.repeat(257)]: '1' };
    },
    problem: /a name of 257 characters/,
    fix: /up to 256/,
  },
  'too long a hyperparameter': {
    step: 'Train',
    change: (args) => {
      args.HyperParameters.note = 'h'.repeat(2501);
    },
    problem: /HyperParameters\.note has 2501 characters/,
    fix: /up to 2500/,
  },
  'too long a value in the environment': {
    step: 'Split',
    change: (args) => {
      args.Environment = { NOTE: 'h'.repeat(257) };
    },
    problem: /Environment\.NOTE has 257 characters/,
    fix: /up to 256/,
  },
  'more than 50 tags': {
    step: 'Train',
    change: (args) => {
      args.Tags = Array.from({ length: 51 }, (_, index) => ({ Key: `k${index}`, Value: 'v' }));
    },
    problem: /Tags has 51 entries, and may have 50/,
    fix: /leave some out/,
  },
  'more than 200 parameters': {
    step: 'Train',
    change: (_, __, { Parameters }) => {
      for (let i = 0; i < 200; i++) Parameters.push({ Name: `P${i}`, Type: 'String', DefaultValue: '' });
    },
    where: 'the pipeline',
    problem: /201 parameters, and may have 200/,
    fix: /a file/,
  },
  'a definition of more than a megabyte': {
    step: 'Train',
    change: (_, step) => {
      step.Description = 'd'.repeat(1_048_576);
    },
    where: 'the pipeline',
    problem: /bytes, and may have 1048576/,
    fix: /divide/,
  },
};

for (const [what, { step, change, problem, fix, where = `step ${step}` }] of Object.entries(defects)) {
  test(`${what} is the one finding`, () => {
    const findings = changed(step, change);
    assert.equal(findings.length, 1, JSON.stringify(findings, null, 1));
    assert.equal(findings[0]?.where, where);
    assert.equal(findings[0]?.severity ?? 'error', 'error');
    assert.match(findings[0]?.problem as string, problem);
    assert.match(findings[0]?.fix as string, fix);
  });
}

/** None is a credential: each is made of the pattern alone. */
const credentials: Record<string, readonly [name: string, value: string, what: RegExp]> = {
  'an AWS access key, by its pattern': ['note', `AKIA${'A'.repeat(16)}`, /an AWS access key/],
  'an AWS secret, by its name': ['AWS_SECRET_ACCESS_KEY', 'x'.repeat(40), /an AWS credential/],
  'a GitHub token, by its pattern': ['note', `ghp_${'a'.repeat(36)}`, /a GitHub token/],
  'a GitHub token, by its name': ['GITHUB_TOKEN', 'x', /a GitHub token/],
  'a Hugging Face token, by its pattern': ['note', `hf_${'a'.repeat(34)}`, /a Hugging Face token/],
  'a Hugging Face token, by its name': ['HF_TOKEN', 'x', /a Hugging Face token/],
  'a W&B key, by its name': ['WANDB_API_KEY', 'a'.repeat(40), /a Weights & Biases key/],
  'a password, by its name': ['db_password', 'x', /a credential/],
  'a private key': ['note', '-----BEGIN RSA PRIVATE KEY-----', /a private key/],
};

for (const [what, [name, value, kind]] of Object.entries(credentials)) {
  test(`${what}, is found in hyperparameters and in the environment, and not repeated`, () => {
    for (const map of ['HyperParameters', 'Environment']) {
      const findings = changed('Train', (args) => {
        args[map] = { [name]: value };
      });
      assert.equal(findings.length, 1, JSON.stringify(findings));
      assert.match(findings[0]?.problem as string, kind);
      assert.match(findings[0]?.fix as string, /Secrets Manager/);
      assert.equal(findings[0]?.problem.includes(value) && value.length > 1, false);
    }
  });
}

test('a credential is found in a command line and in the default of a parameter', () => {
  const key = `AKIA${'A'.repeat(16)}`;
  const findings = changed('Split', (args, _, { Parameters }) => {
    args.AppSpecification.ContainerArguments = ['--key', key];
    Parameters.push(parameter('String', key));
  });
  assert.deepEqual(
    findings.map(({ where }) => where),
    ['step Split', 'parameter Planted'],
  );
});

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
