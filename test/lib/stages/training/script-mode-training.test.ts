// Script mode: the image, the hyperparameters as AWS's Python SDK writes them, the package, and what is refused.
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { App, Stack } from 'aws-cdk-lib';
import { Annotations, Match, Template } from 'aws-cdk-lib/assertions';
import { Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import {
  type ByocTraining,
  ParameterInteger,
  ParameterString,
  PipelineError,
  ScriptModeTraining,
  type ScriptModeTrainingProps,
} from '../../../../lib';
import { temporaryFolder } from '../../../training/temporary-folder';

function source(files: Readonly<Record<string, string>> = { 'train.py': 'print(1)\n' }): string {
  const folder = temporaryFolder();
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
  return folder;
}

function synth(props: Partial<ScriptModeTrainingProps> = {}, region: string | undefined = 'eu-central-1') {
  const app = new App({ outdir: temporaryFolder() });
  const stack = new Stack(app, 'Test', { env: { account: '111122223333', ...(region && { region }) } });
  const training = new ScriptModeTraining(stack, 'Train', {
    ...(props.image === undefined && { framework: 'pytorch' }),
    entryPoint: 'train.py',
    sourceDir: source(),
    channels: { train: 's3://b/train' },
    output: 's3://b/out',
    role: new Role(stack, 'Role', { assumedBy: new ServicePrincipal('sagemaker.amazonaws.com') }),
    ...props,
  });
  const job = stack.resolve(JSON.parse(JSON.stringify(training.step.toDefinition()))).Arguments;
  return { app, stack, training, job };
}

const image = (props: Partial<ScriptModeTrainingProps>, region?: string): string => {
  const { job } = synth(props, region);
  return JSON.stringify(job.AlgorithmSpecification.TrainingImage);
};

function problemsOf(props: Partial<ScriptModeTrainingProps>, region?: string): string[] {
  try {
    synth(props, region);
  } catch (error) {
    assert.ok(error instanceof PipelineError, String(error));
    for (const { where } of error.findings) assert.equal(where, 'step Train at Test/Train');
    return error.findings.map(({ problem }) => problem.replace(/;.*/s, ''));
  }
  return [];
}

// as sagemaker.image_uris.get_training_image_uri of AWS's Python SDK 2.245.0 answers
for (const [props, repository, tag] of [
  [{ framework: 'pytorch', version: '2.6.0' }, 'pytorch-training', '2.6.0-gpu-py312'],
  [{ framework: 'pytorch', version: '2.5', instanceType: 'ml.m5.xlarge' }, 'pytorch-training', '2.5.1-cpu-py311'],
  [{ framework: 'pytorch' }, 'pytorch-training', '2.6.0-gpu-py312'],
  [{ framework: 'tensorflow', version: '2.18' }, 'tensorflow-training', '2.18.0-gpu-py310'],
  [
    { framework: 'huggingface', version: '4.49' },
    'huggingface-pytorch-training',
    '2.5.1-transformers4.49.0-gpu-py311-cu124-ubuntu22.04',
  ],
  [
    { framework: 'huggingface-tensorflow' },
    'huggingface-tensorflow-training',
    '2.6.3-transformers4.17.0-gpu-py38-cu112-ubuntu20.04',
  ],
  [
    { framework: 'huggingface-tensorflow', version: '4.10' },
    'huggingface-tensorflow-training',
    '2.5.1-transformers4.10.2-gpu-py37-cu112-ubuntu18.04',
  ],
  [
    { framework: 'huggingface-tensorflow', version: '4.4.2' },
    'huggingface-tensorflow-training',
    '2.4.1-transformers4.4.2-gpu-py37',
  ],
  [
    { framework: 'pytorch', version: '2.6.0', containerVersion: 'cu126-ubuntu22.04-sagemaker' },
    'pytorch-training',
    '2.6.0-gpu-py312-cu126-ubuntu22.04-sagemaker',
  ],
] as const) {
  test(`the image of ${JSON.stringify(props)} is ${tag}`, () => {
    const uri = image(props);
    assert.match(uri, /763104351884\.dkr\.ecr\.eu-central-1/);
    assert.ok(uri.includes(`/${repository}:${tag}"`), uri);
  });
}

for (const [region, account] of [
  ['eu-south-1', '692866216735'],
  ['cn-north-1', '727897471807'],
  ['af-south-1', '626614931356'],
  ['us-gov-west-1', '442386744353'],
] as const) {
  test(`in ${region} the image is that of account ${account}`, () => {
    assert.ok(image({}, region).includes(`${account}.dkr.ecr.${region}`));
  });
}

test('where the region is known only at deployment, a mapping has the accounts', () => {
  const stack = new Stack(new App({ outdir: temporaryFolder() }), 'Test');
  const role = new Role(stack, 'Role', { assumedBy: new ServicePrincipal('sagemaker.amazonaws.com') });
  const training = new ScriptModeTraining(stack, 'Train', {
    framework: 'pytorch',
    entryPoint: 'train.py',
    sourceDir: source(),
    channels: {},
    output: 's3://b/out',
    role,
  });
  assert.match(JSON.stringify(stack.resolve(training.image.uri)), /Fn::FindInMap/);
  const { HyperParameters } = JSON.parse(JSON.stringify(training.step.toDefinition())).Arguments;
  assert.match(JSON.stringify(stack.resolve(HyperParameters.sagemaker_region)), /"\\"",\{"Ref":"AWS::Region"\}/);
});

test('an image of its own is taken as it is', () => {
  assert.equal(image({ image: 'registry.test/mine:1' }), '"registry.test/mine:1"');
});

test("hyperparameters are as AWS's Python SDK writes them in a pipeline: JSON, and expressions as they are", () => {
  const { job, training, stack } = synth({
    hyperparameters: {
      epochs: 3,
      rate: 0.1,
      name: 'unet "a"',
      flip: true,
      none: null,
      size: [64, 32],
      folds: new ParameterInteger('Folds', { defaultValue: 5 }),
    },
  });
  assert.deepEqual(job.HyperParameters, {
    epochs: '3',
    rate: '0.1',
    name: '"unet \\"a\\""',
    flip: 'true',
    none: 'null',
    size: '[64,32]',
    folds: { 'Std:Join': { On: '', Values: [{ Get: 'Parameters.Folds' }] } },
    sagemaker_program: '"train.py"',
    sagemaker_submit_directory: stack.resolve(`"${training.source.s3ObjectUrl}"`),
    sagemaker_container_log_level: '20',
    sagemaker_region: '"eu-central-1"',
  });
  assert.match(JSON.stringify(job.HyperParameters.sagemaker_submit_directory), /s3:\/\/cdk-.*\/[0-9a-f]{64}\.gz/);
});

for (const [props, expected] of [
  [{}, {}],
  [
    { launcher: 'pytorchddp', version: '2.2', instanceType: 'ml.p4d.24xlarge' },
    {
      sagemaker_distributed_dataparallel_enabled: 'true',
      sagemaker_distributed_dataparallel_custom_mpi_options: '""',
      sagemaker_instance_type: '"ml.p4d.24xlarge"',
    },
  ],
  [
    { launcher: 'torch_distributed' },
    { sagemaker_torch_distributed_enabled: 'true', sagemaker_instance_type: '"ml.g5.xlarge"' },
  ],
  [
    { launcher: 'torch_distributed', instanceType: new ParameterString('Type', { defaultValue: 'ml.g5.xlarge' }) },
    {
      sagemaker_torch_distributed_enabled: 'true',
      sagemaker_instance_type: { 'Std:Join': { On: '', Values: [{ Get: 'Parameters.Type' }] } },
    },
  ],
  [{ launcher: 'mpi' }, { sagemaker_mpi_enabled: 'true', sagemaker_mpi_custom_mpi_options: '""' }],
  [
    { launcher: 'mpi', processesPerHost: 8, mpiOptions: '-x NCCL_DEBUG=INFO' },
    {
      sagemaker_mpi_enabled: 'true',
      sagemaker_mpi_num_of_processes_per_host: '8',
      sagemaker_mpi_custom_mpi_options: '"-x NCCL_DEBUG=INFO"',
    },
  ],
  [{ framework: 'tensorflow', launcher: 'parameter_server' }, { sagemaker_parameter_server_enabled: 'true' }],
] as const satisfies readonly (readonly [Partial<ScriptModeTrainingProps>, object])[]) {
  test(`the launcher of ${JSON.stringify(props)}`, () => {
    const { HyperParameters } = synth(props).job;
    const { sagemaker_program, sagemaker_submit_directory, sagemaker_container_log_level, sagemaker_region, ...rest } =
      HyperParameters;
    assert.deepEqual(rest, expected);
  });
}

test('what was packed is a property and metadata; the package is an asset that the role may read', () => {
  const { app, stack, training } = synth({ sourceDir: source({ 'train.py': 'x', 'requirements.txt': 'pillow\n' }) });
  const files = [
    { name: 'requirements.txt', size: 7 },
    { name: 'train.py', size: 1 },
  ];
  assert.deepEqual(training.packedFiles, files);
  assert.deepEqual(
    training.node.metadata.filter(({ type }) => type === 'scanline:packed').map(({ data }) => data),
    [files],
  );
  const assembly = app.synth();
  assert.ok(existsSync(join(assembly.directory, training.source.assetPath)));
  assert.match(readFileSync(join(assembly.directory, 'Test.metadata.json'), 'utf8'), /scanline:packed/);
  Annotations.fromStack(stack).hasInfo('/Test/Train', 'packed 2 files, 8 bytes: requirements.txt, train.py');
  const policies = JSON.stringify(Template.fromStack(stack).findResources('AWS::IAM::Policy'));
  assert.match(policies, /"s3:GetObject"/);
  assert.doesNotMatch(policies, /"s3:(GetObject|List|GetBucket)\*"/);
  assert.match(policies, /repository\/pytorch-training/);
});

test('a job cut off from the network gets its source as a channel, and a warning about requirements', () => {
  const { stack, job, training } = synth({
    networkIsolation: true,
    sourceDir: source({ 'train.py': '', 'requirements.txt': 'pillow' }),
  });
  // SageMaker puts an object into its channel under the last part of its key
  const name = training.source.s3ObjectUrl.split('/').at(-1);
  assert.equal(job.HyperParameters.sagemaker_submit_directory, `"/opt/ml/input/data/code/${name}"`);
  assert.deepEqual(job.InputDataConfig.at(-1), {
    ChannelName: 'code',
    DataSource: {
      S3DataSource: {
        S3DataType: 'S3Prefix',
        S3Uri: stack.resolve(training.source.s3ObjectUrl),
        S3DataDistributionType: 'FullyReplicated',
      },
    },
    InputMode: 'File',
  });
  Annotations.fromStack(stack).hasWarning('/Test/Train', Match.stringLikeRegexp('networkIsolation keeps pip'));
});

test('it takes the settings of every training stage', () => {
  const { job } = synth({ spot: true, volumeSize: 7 });
  assert.equal(job.EnableManagedSpotTraining, true);
  assert.equal(job.ResourceConfig.VolumeSizeInGB, 7);
});

test('an evaluation takes it where it takes a training on an image', () => {
  const training: ByocTraining = synth().training;
  assert.deepEqual(JSON.parse(JSON.stringify(training.model)), { Get: 'Steps.Train.ModelArtifacts.S3ModelArtifacts' });
});

const DEFECTS: readonly (readonly [string, Partial<ScriptModeTrainingProps>, string?])[] = [
  ["framework is 'mxnet'", { framework: 'mxnet' as never }],
  ['framework is left out, and so is image', { framework: undefined as never }],
  ["version is '9.9'", { version: '9.9' }],
  ["version is '2.6' with image", { image: 'registry.test/a:1', version: '2.6' }],
  ['framework is pytorch in xx-nowhere-1', {}, 'xx-nowhere-1'],
  ['instanceType is ml.m5.xlarge', { framework: 'huggingface', instanceType: 'ml.m5.xlarge' }],
  ["version is '4.49'", { framework: 'huggingface-tensorflow', version: '4.49' }],
  ['instanceType is ml.m5.xlarge', { framework: 'huggingface-tensorflow', instanceType: 'ml.m5.xlarge' }],
  ["entryPoint is 'main.py'", { entryPoint: 'main.py' }],
  ['hyperparameters.sagemaker_program is that name', { hyperparameters: { sagemaker_program: 'x' } }],
  ['hyperparameters.token is a Hugging Face token', { hyperparameters: { token: `hf_${'aB'.repeat(17)}` } }],
  ['channels.code is that name', { networkIsolation: true, channels: { code: 's3://b/c' } }],
  ["launcher is 'horovod'", { launcher: 'horovod' as never }],
  ['launcher is torch_distributed with tensorflow', { framework: 'tensorflow', launcher: 'torch_distributed' }],
  [
    'launcher is torch_distributed with huggingface-tensorflow',
    { framework: 'huggingface-tensorflow', launcher: 'torch_distributed' },
  ],
  [
    'launcher is parameter_server with huggingface-tensorflow',
    { framework: 'huggingface-tensorflow', launcher: 'parameter_server' },
  ],
  ['launcher is parameter_server with pytorch', { launcher: 'parameter_server' }],
  [
    'launcher is pytorchddp on an instance without a GPU',
    { launcher: 'pytorchddp', version: '2.2', instanceType: 'ml.m5.xlarge' },
  ],
  ['launcher is pytorchddp with PyTorch 2.6.0', { launcher: 'pytorchddp' }],
  ['processesPerHost is 2', { processesPerHost: 2 }],
  ['mpiOptions is -x', { mpiOptions: '-x', launcher: 'pytorchddp', version: '2.2' }],
  ['processesPerHost is 0', { launcher: 'mpi', processesPerHost: 0 }],
];

for (const [problem, props, region] of DEFECTS) {
  test(`refused: ${problem}`, () => {
    assert.deepEqual(problemsOf(props, region), [problem]);
  });
}

test('torch_distributed starts Python alone', () => {
  const sourceDir = source({ 'run.sh': '' });
  assert.deepEqual(problemsOf({ sourceDir, entryPoint: 'run.sh', launcher: 'torch_distributed' }), [
    "entryPoint is 'run.sh'",
  ]);
});

test('a TypeScript program takes no framework, launcher or requirements, and must bundle', () => {
  const sourceDir = source({
    'train.ts': "import { missing } from './missing';\nmissing();\n",
    'requirements.txt': '',
  });
  const props = { sourceDir, entryPoint: 'train.ts' };
  assert.deepEqual(problemsOf({ ...props, launcher: 'mpi', requirements: 'requirements.txt' }), [
    "framework is 'pytorch' with 'train.ts'",
    "launcher is 'mpi' with 'train.ts'",
    "requirements is 'requirements.txt' with 'train.ts'",
    'entryPoint is \'train.ts\', which does not bundle: train.ts:1: Could not resolve "./missing"',
  ]);
  assert.deepEqual(problemsOf({ ...props, framework: undefined as never, channels: { code: 's3://b/c' } }), [
    'channels.code is that name',
    'entryPoint is \'train.ts\', which does not bundle: train.ts:1: Could not resolve "./missing"',
  ]);
});

test('credentials in a TypeScript program are found before it is bundled', () => {
  const sourceDir = source({ 'train.ts': `\nconst token = 'hf_${'aB'.repeat(17)}';\n` });
  assert.deepEqual(problemsOf({ sourceDir, entryPoint: 'train.ts', framework: undefined as never }), [
    'sourceDir is a folder with a Hugging Face token in train.ts:2',
  ]);
});

test('what is wrong with the source, the script and the settings is told at once', () => {
  const sourceDir = source({ 'train.py': '', '.env': 'A=1' });
  const found = problemsOf({ sourceDir, version: '9.9', launcher: 'parameter_server', volumeSize: 0 });
  assert.deepEqual(found, [
    "version is '9.9'",
    'launcher is parameter_server with pytorch',
    'sourceDir is a folder with a file of secrets in .env:1',
    'volumeSize is 0',
  ]);
});
