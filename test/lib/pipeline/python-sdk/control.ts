// Pipelines that decide, ask, check and run elsewhere, as test/oracle/lib/sagemaker_sdk builds them with AWS's Python SDK.
import {
  AutoMLStep,
  CallbackStep,
  ClarifyCheckStep,
  ConditionStep,
  EmrStep,
  equals,
  FailStep,
  greaterThan,
  greaterThanOrEqualTo,
  isIn,
  join,
  jsonGet,
  LambdaStep,
  lessThan,
  lessThanOrEqualTo,
  ModelStep,
  NotebookJobStep,
  not,
  or,
  ParameterFloat,
  ParameterString,
  Pipeline,
  type ProcessingArguments,
  ProcessingStep,
  QualityCheckStep,
  TrainingStep,
} from '../../../../lib/pipeline';
import { IMAGE, ROLE } from '../whole-steps';
import { EVALUATION, KEY, REPORT, TRAINING } from './jobs';

export function decisions(): Pipeline {
  const least = new ParameterFloat('LeastAccuracy', { defaultValue: 0.9 });
  const mode = new ParameterString('Mode', { defaultValue: 'go' });
  const evaluate = new ProcessingStep('Evaluate', { arguments: EVALUATION, propertyFiles: [REPORT] });
  const ask = new LambdaStep('Ask', {
    functionArn: 'arn:aws:lambda:eu-central-1:111122223333:function:ask',
    inputs: { mode, tries: 3 },
    outputs: { verdict: 'String', score: 'Float' },
    cache: { expireAfter: 'P1D' },
  });
  const wait = new CallbackStep('Wait', {
    queueUrl: 'https://sqs.eu-central-1.amazonaws.com/111122223333/review',
    inputs: { score: ask.output('score') },
    outputs: { approved: 'Boolean' },
    dependsOn: [evaluate],
  });
  const accuracy = jsonGet(evaluate, REPORT, 'metrics.accuracy.value');
  const gate = new ConditionStep('Gate', {
    conditions: [
      greaterThanOrEqualTo(accuracy, least),
      greaterThan(accuracy, 0.5),
      lessThan(ask.output('score'), 1),
      lessThanOrEqualTo(accuracy, 1),
      equals(wait.output('approved'), true),
      isIn(mode, ['go', 'stop']),
      not(equals(mode, 'never')),
      or(equals(mode, 'go'), equals(mode, 'stop')),
    ],
    ifSteps: [new TrainingStep('Train', { arguments: TRAINING })],
    elseSteps: [new FailStep('Stop', { errorMessage: join(' ', 'accuracy', accuracy, 'below', least) })],
  });
  return new Pipeline('p', { parameters: [least, mode], steps: [evaluate, ask, wait, gate] });
}

const input = (name: string, uri: string, folder: string) => ({
  InputName: name,
  S3Input: {
    S3Uri: uri,
    LocalPath: `/opt/ml/processing/input/${folder}`,
    S3DataType: 'S3Prefix' as const,
    S3InputMode: 'File' as const,
  },
});

const output = (name: string, uri: string) => ({
  OutputName: name,
  S3Output: { S3Uri: uri, LocalPath: '/opt/ml/processing/output', S3UploadMode: 'EndOfJob' as const },
});

const job = (
  image: string,
  inputs: ProcessingArguments['ProcessingInputs'],
  result: ReturnType<typeof output>,
): ProcessingArguments => ({
  ProcessingResources: { ClusterConfig: { InstanceType: 'ml.m5.xlarge', InstanceCount: 1, VolumeSizeInGB: 20 } },
  AppSpecification: { ImageUri: image },
  RoleArn: ROLE,
  ProcessingInputs: inputs,
  ProcessingOutputConfig: { Outputs: [result] },
});

const CLARIFY = job(
  '017069133835.dkr.ecr.eu-central-1.amazonaws.com/sagemaker-clarify-processing:1.0',
  [
    input('analysis_config', 's3://bucket/bias/config/analysis_config.json', 'config'),
    input('dataset', 's3://bucket/features.csv', 'data'),
  ],
  output('analysis_result', 's3://bucket/bias'),
);

export function checks(): Pipeline {
  const quality = new QualityCheckStep('Quality', {
    checkType: 'DATA_QUALITY',
    failOnViolation: false,
    registerNewBaseline: true,
    modelPackageGroupName: 'group',
    suppliedBaselineStatistics: 's3://bucket/statistics.json',
    suppliedBaselineConstraints: 's3://bucket/constraints.json',
    arguments: {
      ...job(
        '048819808253.dkr.ecr.eu-central-1.amazonaws.com/sagemaker-model-monitor-analyzer',
        [input('baseline_dataset_input', 's3://bucket/features.csv', 'baseline_dataset_input')],
        output('quality_check_output', 's3://bucket/quality'),
      ),
      Environment: {
        output_path: '/opt/ml/processing/output',
        publish_cloudwatch_metrics: 'Disabled',
        dataset_format: '{"csv": {"header": true, "output_columns_position": "START"}}',
        dataset_source: '/opt/ml/processing/input/baseline_dataset_input',
      },
    },
  });
  const bias = new ClarifyCheckStep('Bias', {
    checkType: 'DATA_BIAS',
    skipCheck: true,
    registerNewBaseline: true,
    modelPackageGroupName: 'group',
    arguments: CLARIFY,
  });
  const explained = new ClarifyCheckStep('Explained', {
    checkType: 'MODEL_EXPLAINABILITY',
    modelName: 'planes',
    suppliedBaselineConstraints: 's3://bucket/explained.json',
    arguments: CLARIFY,
  });
  return new Pipeline('p', { steps: [quality, bias, explained] });
}

/** What the model of AutoML's best candidate asks of its container. */
const ENVIRONMENT = [
  'MODEL_NAME',
  'SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT',
  'SAGEMAKER_SUBMIT_DIRECTORY',
  'SAGEMAKER_INFERENCE_SUPPORTED',
  'SAGEMAKER_INFERENCE_OUTPUT',
  'SAGEMAKER_PROGRAM',
];

export function elsewhere(): Pipeline {
  const spark = new EmrStep('Spark', {
    displayName: 'Spark',
    description: 'on a cluster that runs',
    clusterId: 'j-1',
    executionRoleArn: ROLE,
    cache: { expireAfter: 'P1D' },
    jar: {
      Jar: 'command-runner.jar',
      Args: ['spark-submit', 'a.py'],
      MainClass: 'Main',
      Properties: [{ Key: 'memory', Value: '2g' }],
    },
  });
  const cluster = new EmrStep('Cluster', {
    displayName: 'Cluster',
    description: 'on one of its own',
    clusterConfig: {
      Instances: { InstanceGroups: [{ InstanceRole: 'MASTER', InstanceCount: 1, InstanceType: 'm5.xlarge' }] },
      ReleaseLabel: 'emr-7.0.0',
      Applications: [{ Name: 'Spark' }],
      ServiceRole: 'EMR_DefaultRole',
      JobFlowRole: 'EMR_EC2_DefaultRole',
    },
    jar: { Jar: 's3://bucket/a.jar' },
  });
  const notebook = new NotebookJobStep('Notebook', {
    notebook: 'report.ipynb',
    input: 's3://bucket/notebooks/p/Notebook/UPLOAD',
    output: 's3://bucket/notebooks',
    imageUri: IMAGE,
    kernelName: 'python3',
    roleArn: ROLE,
    region: 'eu-central-1',
    parameters: { mode: 'go' },
    environment: { SITE: 'ward' },
    outputKmsKeyId: KEY,
    volumeKmsKeyId: KEY,
    vpc: { subnets: ['subnet-1'], securityGroupIds: ['sg-1'] },
  });
  const table = new AutoMLStep('Table', {
    arguments: {
      InputDataConfig: [
        {
          DataSource: { S3DataSource: { S3DataType: 'S3Prefix', S3Uri: 's3://bucket/rows.csv' } },
          TargetAttributeName: 'y',
          ChannelType: 'training',
        },
      ],
      OutputDataConfig: { S3OutputPath: 's3://bucket/automl' },
      AutoMLJobConfig: {
        CompletionCriteria: { MaxCandidates: 10 },
        SecurityConfig: { EnableInterContainerTrafficEncryption: false },
        Mode: 'ENSEMBLING',
      },
      RoleArn: ROLE,
      AutoMLJobObjective: { MetricName: 'F1' },
      ProblemType: 'BinaryClassification',
    },
  });
  const best = table.properties.BestCandidate.InferenceContainers[0];
  const make = new ModelStep('Make-CreateModel', {
    arguments: {
      ExecutionRoleArn: ROLE,
      PrimaryContainer: {
        Image: best?.Image as never,
        ModelDataUrl: best?.ModelDataUrl as never,
        Environment: Object.fromEntries(ENVIRONMENT.map((name) => [name, best?.Environment[name] as never])),
      },
    },
  });
  return new Pipeline('p', { steps: [spark, cluster, notebook, table, make] });
}
