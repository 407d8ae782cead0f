// Batch transform: what its props become in the step, which model it uses, and what is refused, each defect planted alone.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { App, Stack } from 'aws-cdk-lib';
import { Role } from 'aws-cdk-lib/aws-iam';
import { Key } from 'aws-cdk-lib/aws-kms';
import {
  ModelStep,
  ParameterString,
  PipelineError,
  RegisterModelStep,
  Transform,
  type TransformProps,
} from '../../../lib';
import { temporaryFolder } from '../../training/temporary-folder';

type Given = Partial<TransformProps>;

const ROLE_ARN = 'arn:aws:iam::111122223333:role/r';

function synth(props: (stack: Stack) => Given = () => ({})) {
  const stack = new Stack(new App({ outdir: temporaryFolder() }), 'Test');
  const given = props(stack);
  const transform = new Transform(stack, 'Predict', {
    ...(given.modelPackage === undefined && { model: 'brain-planes' }),
    input: 's3://b/images',
    output: 's3://b/predictions',
    ...given,
  });
  const definition = stack.resolve(JSON.parse(JSON.stringify(transform.step.toDefinition())));
  return { stack, transform, definition, job: definition.Arguments };
}

const role = (stack: Stack) => Role.fromRoleArn(stack, 'Role', ROLE_ARN);

test('without more: each object whole, one ml.g5.xlarge, tried again on capacity errors', () => {
  const { job, definition } = synth();
  assert.deepEqual(job, {
    ModelName: 'brain-planes',
    TransformInput: { DataSource: { S3DataSource: { S3DataType: 'S3Prefix', S3Uri: 's3://b/images' } } },
    TransformOutput: { S3OutputPath: 's3://b/predictions' },
    TransformResources: { InstanceType: 'ml.g5.xlarge', InstanceCount: 1 },
  });
  assert.equal(definition.RetryPolicies[0].ExceptionType[0], 'SageMaker.CAPACITY_ERROR');
});

test('all that may be said of records, requests and resources is taken', () => {
  const { job } = synth((stack) => ({
    inputType: 'ManifestFile',
    contentType: 'text/csv',
    accept: 'text/csv',
    splitType: 'Line',
    compression: 'Gzip',
    batchStrategy: 'MultiRecord',
    maxPayload: 10,
    maxConcurrentTransforms: 10,
    invocationTimeout: 60,
    invocationRetries: 0,
    inputFilter: '$[1:]',
    outputFilter: '$[0,-1]',
    joinSource: 'Input',
    instanceType: 'ml.m5.xlarge',
    instanceCount: 2,
    key: Key.fromKeyArn(stack, 'Key', 'arn:aws:kms:us-east-1:111122223333:key/k'),
    environment: { A: '1' },
    tags: { project: 'planes' },
    retry: [],
  }));
  assert.deepEqual(job, {
    ModelName: 'brain-planes',
    TransformInput: {
      DataSource: { S3DataSource: { S3DataType: 'ManifestFile', S3Uri: 's3://b/images' } },
      ContentType: 'text/csv',
      CompressionType: 'Gzip',
      SplitType: 'Line',
    },
    TransformOutput: {
      S3OutputPath: 's3://b/predictions',
      Accept: 'text/csv',
      AssembleWith: 'Line',
      KmsKeyId: 'arn:aws:kms:us-east-1:111122223333:key/k',
    },
    TransformResources: {
      InstanceType: 'ml.m5.xlarge',
      InstanceCount: 2,
      VolumeKmsKeyId: 'arn:aws:kms:us-east-1:111122223333:key/k',
    },
    BatchStrategy: 'MultiRecord',
    MaxPayloadInMB: 10,
    MaxConcurrentTransforms: 10,
    ModelClientConfig: { InvocationsTimeoutInSeconds: 60, InvocationsMaxRetries: 0 },
    DataProcessing: { InputFilter: '$[1:]', OutputFilter: '$[0,-1]', JoinSource: 'Input' },
    Environment: { A: '1' },
    Tags: [{ Key: 'project', Value: 'planes' }],
  });
});

test('an instance type with local disks takes no key for its volume, and the answers do', () => {
  const { job } = synth((stack) => ({ key: new Key(stack, 'Key') }));
  assert.equal('VolumeKmsKeyId' in job.TransformResources, false);
  assert.ok(job.TransformOutput.KmsKeyId);
});

test('the model of a step is taken by its name', () => {
  const { job, transform } = synth(() => ({ model: new ModelStep('Make', { arguments: {} }) }));
  assert.deepEqual(job.ModelName, { Get: 'Steps.Make.ModelName' });
  assert.deepEqual(transform.steps, [transform.step]);
});

test('of a registered model a model is made first, without network', () => {
  const { job, transform } = synth((stack) => ({
    modelPackage: new RegisterModelStep('Register', { arguments: {} }),
    role: role(stack),
  }));
  assert.deepEqual(job.ModelName, { Get: 'Steps.PredictModel.ModelName' });
  assert.deepEqual(
    transform.steps.map(({ name }) => name),
    ['PredictModel', 'Predict'],
  );
  assert.deepEqual(JSON.parse(JSON.stringify(transform.modelStep?.toDefinition())).Arguments, {
    PrimaryContainer: { ModelPackageName: { Get: 'Steps.Register.ModelPackageArn' } },
    ExecutionRoleArn: ROLE_ARN,
    EnableNetworkIsolation: true,
  });
});

test('a model package may be chosen at the start', () => {
  const chosen = new ParameterString('Package');
  const { transform } = synth((stack) => ({ modelPackage: chosen, role: role(stack), networkIsolation: false }));
  const { Arguments } = JSON.parse(JSON.stringify(transform.modelStep?.toDefinition()));
  assert.deepEqual(Arguments.PrimaryContainer, { ModelPackageName: { Get: 'Parameters.Package' } });
  assert.equal(Arguments.EnableNetworkIsolation, false);
});

test('where the answers are can be referred to', () => {
  assert.deepEqual(JSON.parse(JSON.stringify(synth().transform.output)), {
    Get: 'Steps.Predict.TransformOutput.S3OutputPath',
  });
});

function problemsOf(props: (stack: Stack) => Given): string[] {
  try {
    synth(props);
  } catch (error) {
    assert.ok(error instanceof PipelineError, String(error));
    for (const { where, fix } of error.findings) {
      assert.equal(where, 'step Predict at Test/Predict');
      assert.match(fix, /.\.$/);
    }
    return error.findings.map(({ problem }) => problem.replace(/;.*/s, ''));
  }
  return [];
}

const PACKAGE = 'arn:aws:sagemaker:us-east-1:111122223333:model-package/planes/1';

const DEFECTS: readonly (readonly [string, Given | ((stack: Stack) => Given)])[] = [
  ['model is left out, and so is modelPackage', { model: undefined as never }],
  ['model is given with modelPackage', (stack) => ({ model: 'm', modelPackage: PACKAGE, role: role(stack) })],
  ["model is 'arn:aws:sagemaker:us-east-1:1:model/m'", { model: 'arn:aws:sagemaker:us-east-1:1:model/m' }],
  ['role is left out with modelPackage', { modelPackage: PACKAGE }],
  ['role is given with model', (stack) => ({ role: role(stack) })],
  ['networkIsolation is given with model', { networkIsolation: true }],
  ["modelPackage is 'planes/1'", (stack) => ({ modelPackage: 'planes/1', role: role(stack) })],
  ["input is '/images'", { input: '/images' }],
  ["output is 'b/out'", { output: 'b/out' }],
  ["inputType is 'Folder'", { inputType: 'Folder' as never }],
  ["splitType is 'Lines'", { splitType: 'Lines' as never }],
  ["compression is 'Zip'", { compression: 'Zip' as never }],
  ["batchStrategy is 'Many'", { batchStrategy: 'Many' as never, splitType: 'Line' }],
  ["assembleWith is 'Comma'", { assembleWith: 'Comma' as never }],
  ["joinSource is 'Output'", { joinSource: 'Output' as never }],
  ['batchStrategy is SingleRecord without splitType', { batchStrategy: 'SingleRecord' }],
  ['maxPayload is -1', { maxPayload: -1 }],
  ['maxPayload is 101', { maxPayload: 101 }],
  ['maxPayload is 0.5', { maxPayload: 0.5 }],
  ['maxConcurrentTransforms is -1', { maxConcurrentTransforms: -1 }],
  ['maxConcurrentTransforms is 101', { maxConcurrentTransforms: 101, maxPayload: 1 }],
  ['maxConcurrentTransforms is 11, times maxPayload of 10 MB 110 MB', { maxConcurrentTransforms: 11, maxPayload: 10 }],
  ['maxConcurrentTransforms is 17, times maxPayload of 6 MB 102 MB', { maxConcurrentTransforms: 17 }],
  ['invocationTimeout is 3601', { invocationTimeout: 3601 }],
  ['invocationRetries is 4', { invocationRetries: 4 }],
  ["inputFilter is 'features'", { inputFilter: 'features' }],
  ['outputFilter is 64 characters', { outputFilter: `$.${'x'.repeat(62)}` }],
  ["contentType is 'image/png' with joinSource", { joinSource: 'Input', contentType: 'image/png' }],
  ["accept is 'text/plain' with outputFilter", { outputFilter: '$.a', accept: 'text/plain' }],
  ['splitType is TFRecord with inputFilter', { inputFilter: '$.a', splitType: 'TFRecord' }],
  [
    'assembleWith is None with joinSource and splitType Line',
    { joinSource: 'Input', splitType: 'Line', assembleWith: 'None' },
  ],
  ["instanceType is 'g5'", { instanceType: 'g5' }],
  ['instanceCount is 0', { instanceCount: 0 }],
  [
    'environment is 17 variables',
    { environment: Object.fromEntries(Array.from({ length: 17 }, (_, index) => [`V${index}`, ''])) },
  ],
  ['environment.A is 10241 characters', { environment: { A: 'x'.repeat(10_241) } }],
  ['environment.A is an AWS access key id', { environment: { A: `AKIA${'Q'.repeat(16)}` } }],
  ['tags.aws:x is that name', { tags: { 'aws:x': 'y' } }],
  ['retry[0].exceptions is empty', { retry: [{ exceptions: [], maxAttempts: 1 }] }],
];

for (const [problem, props] of DEFECTS) {
  test(`refused: ${problem}`, () => {
    assert.deepEqual(
      problemsOf((stack) => (typeof props === 'function' ? props(stack) : props)),
      [problem],
    );
  });
}

test('all that is wrong is told at once', () => {
  const found = problemsOf(() => ({ maxPayload: 101, splitType: 'Lines' as never, instanceCount: 0 }));
  assert.equal(found.length, 3);
});
