// A planted defect for everything that is refused of an endpoint, each alone; and all at once.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { App, Duration, Stack } from 'aws-cdk-lib';
import { Alarm, Metric } from 'aws-cdk-lib/aws-cloudwatch';
import { Vpc } from 'aws-cdk-lib/aws-ec2';
import { Role } from 'aws-cdk-lib/aws-iam';
import {
  ApprovedModelEndpoint,
  type ApprovedModelEndpointProps,
  ByocImage,
  Endpoint,
  EndpointDeployment,
  type EndpointProps,
  type EndpointVariant,
  ParameterString,
  PipelineError,
} from '../../../../lib';
import { temporaryFolder } from '../../../training/temporary-folder';

const ARN = 'arn:aws:sagemaker:us-east-1:111122223333:model-package/planes/3';
const ROLE_ARN = 'arn:aws:iam::111122223333:role/r';
const model = { modelPackageArn: ARN };

function findingsOf(make: (stack: Stack) => unknown): string[] {
  try {
    make(new Stack(new App({ outdir: temporaryFolder() }), 'Test'));
  } catch (error) {
    assert.ok(error instanceof PipelineError, String(error));
    for (const { where, problem, fix } of error.findings) {
      assert.equal(where, 'endpoint Endpoint at Test/Endpoint');
      assert.match(problem, /^\S+ is .+; allowed is .+\.$/);
      assert.match(fix, /.\.$/);
    }
    return error.findings.map(({ problem }) => problem.replace(/; allowed.*/s, ''));
  }
  return [];
}

type Props = Partial<EndpointProps>;

/** With a role, so that nothing else is wrong. */
const endpointWith = (props: (stack: Stack) => Props) =>
  findingsOf(
    (stack) =>
      new Endpoint(stack, 'Endpoint', {
        role: Role.fromRoleArn(stack, 'Role', ROLE_ARN),
        variants: [{ model }],
        ...props(stack),
      }),
  );

const variant = (settings: Partial<EndpointVariant>): Props => ({ variants: [{ model, ...settings }] });
const scaled = (settings: Partial<EndpointVariant>): Props =>
  variant({ ...settings, autoscaling: { maxCapacity: 4, ...settings.autoscaling } });

/** As many instances as a move in steps needs. */
const PAIR = variant({ initialInstanceCount: 2 });

const several = (count: number, settings: Partial<EndpointVariant> = {}) =>
  Array.from({ length: count }, (_, index) => ({ model, variantName: `v${index}`, ...settings }));

const async = { output: 's3://b/out' };
const m5 = { instanceType: 'ml.m5.xlarge' };

const DEFECTS: readonly (readonly [string, Props | ((stack: Stack) => Props)])[] = [
  ["endpointName is 'a_b'", { endpointName: 'a_b' }],
  [`endpointName is '${'x'.repeat(64)}'`, { endpointName: 'x'.repeat(64) }],
  ['variants is 0 of them', { variants: [] }],
  ['variants is 11 of them', { variants: several(11), update: { rollbackAlarms: false } }],
  ["variantName is 'AllTraffic' more than once", { variants: [{ model }, { model }] }],
  ["variants[0].variantName is '-a'", variant({ variantName: '-a' })],
  ['variants[0].weight is -1', variant({ weight: -1 })],
  ['variants is of no weight at all', variant({ weight: 0 })],
  ["variants[0].instanceType is 'g5.xlarge'", variant({ instanceType: 'g5.xlarge' })],
  ['variants[0].initialInstanceCount is 0', variant({ initialInstanceCount: 0 })],
  ['variants[0].volumeSize is 513', variant({ ...m5, volumeSize: 513 })],
  ['variants[0].volumeSize is 50 with ml.g5.xlarge', variant({ volumeSize: 50 })],
  ['variants[0].containerStartupTimeout is 59 seconds', variant({ containerStartupTimeout: Duration.seconds(59) })],
  ['variants[0].modelDownloadTimeout is 3601 seconds', variant({ modelDownloadTimeout: Duration.seconds(3601) })],
  ["variants[0].acceleratorType is 'ml.eia3.large'", variant({ ...m5, acceleratorType: 'ml.eia3.large' })],
  ["variants[0].model.modelPackageArn is 'planes/3'", { variants: [{ model: { modelPackageArn: 'planes/3' } }] }],
  [
    "variants[0].model.modelData is '/opt/model'",
    (stack) => ({ variants: [{ model: { image: image(stack), modelData: '/opt/model' } }] }),
  ],
  [
    'variants[0].model.environment.KEY is an AWS access key id',
    (stack) => ({
      variants: [
        { model: { image: image(stack), modelData: 's3://b/m', environment: { KEY: `AKIA${'Q'.repeat(16)}` } } },
      ],
    }),
  ],

  ['variants[0].memorySize is 1500', variant({ serverless: { memorySize: 1500 } })],
  ['variants[0].memorySize is 7168', variant({ serverless: { memorySize: 7168 } })],
  ['variants[0].maxConcurrency is 201', variant({ serverless: { maxConcurrency: 201 } })],
  ['variants[0].provisionedConcurrency is 0', variant({ serverless: { provisionedConcurrency: 0 } })],
  ['variants[0].provisionedConcurrency is 21', variant({ serverless: { provisionedConcurrency: 21 } })],
  ...(
    [
      ['instanceType', 'ml.m5.xlarge'],
      ['initialInstanceCount', 1],
      ['volumeSize', 10],
      ['acceleratorType', 'ml.eia2.medium'],
      ['inferenceAmiVersion', 'al2-ami-sagemaker-inference-gpu-2'],
      ['containerStartupTimeout', Duration.minutes(5)],
      ['modelDownloadTimeout', Duration.minutes(5)],
    ] as const
  ).map(([name, value]): [string, Props] => [
    `variants[0].${name} is given with serverless`,
    variant({ serverless: {}, [name]: value }),
  ]),
  ['variants is 2 with a serverless one', { variants: several(2, { serverless: {} }) }],
  ['networkIsolation is given with a serverless variant', { ...variant({ serverless: {} }), networkIsolation: true }],
  [
    'capture is given with a serverless variant',
    { ...variant({ serverless: {} }), capture: { destination: 's3://b' } },
  ],
  ['async is given with a serverless variant', { ...variant({ serverless: {} }), async }],
  [
    'vpc is given with a serverless variant',
    (stack) => ({ ...variant({ serverless: {} }), vpc: new Vpc(stack, 'Vpc') }),
  ],
  [
    'shadow is given with a serverless variant',
    { ...variant({ serverless: {} }), shadow: { model, variantName: 'Shadow' } },
  ],

  ['shadow is given beside 2 variants', { variants: several(2), shadow: { model } }],
  ['shadow is given with async', { shadow: { model, variantName: 'Shadow' }, async }],
  ['shadow.autoscaling is given', { shadow: { model, variantName: 'Shadow', autoscaling: { maxCapacity: 2 } } }],
  ["shadow.instanceType is 'x'", { shadow: { model, variantName: 'Shadow', instanceType: 'x' } }],

  ['variants[0].autoscaling.minCapacity is 0', scaled({ autoscaling: { minCapacity: 0, maxCapacity: 2 } })],
  ['variants[0].autoscaling.maxCapacity is 1.5', scaled({ autoscaling: { maxCapacity: 1.5 } })],
  ['variants[0].autoscaling.maxCapacity is 2', scaled({ autoscaling: { minCapacity: 3, maxCapacity: 2 } })],
  ['variants[0].autoscaling.initialInstanceCount is 5', scaled({ initialInstanceCount: 5 })],
  ['variants[0].autoscaling is given with ml.t2.medium', scaled({ instanceType: 'ml.t2.medium' })],
  [
    'variants[0].autoscaling.metric is BacklogPerInstance',
    scaled({ autoscaling: { maxCapacity: 2, metric: 'BacklogPerInstance' } }),
  ],
  [
    'variants[0].autoscaling.metric is ProvisionedConcurrencyUtilization',
    scaled({ autoscaling: { maxCapacity: 2, metric: 'ProvisionedConcurrencyUtilization' } }),
  ],
  ['variants[0].autoscaling.target is 0', scaled({ autoscaling: { maxCapacity: 2, target: 0 } })],
  [
    'variants[0].autoscaling.target is 70',
    scaled({ serverless: { provisionedConcurrency: 1 }, autoscaling: { maxCapacity: 2, target: 70 } }),
  ],
  [
    'variants[0].autoscaling is given without provisionedConcurrency',
    scaled({ serverless: {}, autoscaling: { maxCapacity: 2 } }),
  ],
  [
    'variants[0].autoscaling.maxCapacity is 30',
    scaled({ serverless: { provisionedConcurrency: 1 }, autoscaling: { maxCapacity: 30 } }),
  ],
  [
    'variants[0].autoscaling.scaleInCooldown is 0.5 seconds',
    scaled({ autoscaling: { maxCapacity: 2, scaleInCooldown: Duration.millis(500) } }),
  ],
  [
    'variants[0].autoscaling.scaleOutCooldown is 172800 seconds',
    scaled({ autoscaling: { maxCapacity: 2, scaleOutCooldown: Duration.days(2) } }),
  ],

  ['capture.percentage is 101', { capture: { percentage: 101, destination: 's3://b' } }],
  ['capture.modes is empty', { capture: { modes: [], destination: 's3://b' } }],
  ['capture.modes is Input', { capture: { modes: ['Input', 'Input'], destination: 's3://b' } }],
  ["capture.destination is '/kept'", { capture: { destination: '/kept' } }],
  ['capture.destination is 513 characters', { capture: { destination: `s3://b/${'x'.repeat(506)}` } }],
  ['capture.destination is neither given nor in a bucket', { capture: {} }],
  ["capture.csvContentTypes is 'csv'", { capture: { destination: 's3://b', csvContentTypes: ['csv'] } }],
  [
    'capture.jsonContentTypes is 11 of them',
    { capture: { destination: 's3://b', jsonContentTypes: Array(11).fill('application/json') } },
  ],

  ["async.output is 'answers'", { async: { output: 'answers' } }],
  ['async.output is neither given nor in a bucket', { async: {} }],
  ["async.failure is 'failures'", { async: { ...async, failure: 'failures' } }],
  ['async.maxConcurrentInvocations is 1001', { async: { ...async, maxConcurrentInvocations: 1001 } }],

  ['update.interval is 3660 seconds', { update: { interval: Duration.minutes(61) } }],
  ['update.terminationWait is 3660 seconds', { update: { terminationWait: Duration.minutes(61) } }],
  ['update.strategy is Canary with 1 instance', { update: { strategy: 'Canary' } }],
  ['update.strategy is Linear with 1 instance', { update: { strategy: 'Linear', stepSize: 50 } }],
  [
    'update.maxExecutionTime is 600 seconds, with 900 of interval and terminationWait',
    { update: { maxExecutionTime: Duration.minutes(10), terminationWait: Duration.minutes(10) } },
  ],
  ['update.maxExecutionTime is 300 seconds', { update: { maxExecutionTime: Duration.minutes(5) } }],
  ['update.stepSize is given with AllAtOnce', { update: { stepSize: 10 } }],
  ['update.stepUnit is given with AllAtOnce', { update: { stepUnit: 'INSTANCE_COUNT' } }],
  ['update.stepSize is 51', { ...PAIR, update: { strategy: 'Canary', stepSize: 51 } }],
  ['update.stepSize is 9', { ...PAIR, update: { strategy: 'Linear', stepSize: 9 } }],
  ['update.stepSize is 4', { ...PAIR, update: { strategy: 'Rolling', stepSize: 4 } }],
  [
    'update.stepSize is left out with INSTANCE_COUNT',
    { ...PAIR, update: { strategy: 'Canary', stepUnit: 'INSTANCE_COUNT' } },
  ],
  [
    'update.stepSize is 2 instances of 3',
    {
      ...variant({ initialInstanceCount: 3 }),
      update: { strategy: 'Canary', stepUnit: 'INSTANCE_COUNT', stepSize: 2 },
    },
  ],
  ['update.rollbackAlarms is 0 of them', { update: { rollbackAlarms: [] } }],
  ['update.rollbackAlarms is 11 of them', (stack) => ({ update: { rollbackAlarms: Array(11).fill(alarm(stack)) } })],
  ['update.rollbackAlarms is two for each of 6 variants', { variants: several(6), update: {} }],
  ['update is given with ml.inf1.xlarge', { ...variant({ instanceType: 'ml.inf1.xlarge' }), update: {} }],
  [
    'update.terminationWait is given with Rolling',
    { ...PAIR, update: { strategy: 'Rolling', terminationWait: Duration.minutes(1) } },
  ],
  [
    'update.strategy is Rolling with 2 variants',
    { variants: several(2, { initialInstanceCount: 2 }), update: { strategy: 'Rolling' } },
  ],
  [
    'update.strategy is Rolling with a serverless variant',
    { ...variant({ serverless: {} }), update: { strategy: 'Rolling' } },
  ],

  ['subnets is a selection without vpc', { subnets: {} }],
  ['securityGroups is 0 without vpc', { securityGroups: [] }],
  ['securityGroups is 0 of them', (stack) => ({ vpc: new Vpc(stack, 'Vpc'), securityGroups: [] })],
  ['tags is 51 of them', { tags: Object.fromEntries(Array.from({ length: 51 }, (_, i) => [`t${i}`, ''])) }],
  ['tags.aws:x is that name', { tags: { 'aws:x': 'y' } }],
];

const image = (stack: Stack) => ByocImage.fromUri(stack, 'Image', 'registry.test/other:1');

const alarm = (stack: Stack) =>
  new Alarm(stack, 'Alarm', {
    metric: new Metric({ namespace: 'n', metricName: 'm' }),
    threshold: 1,
    evaluationPeriods: 1,
  });

for (const [problem, props] of DEFECTS) {
  test(`refused: ${problem}`, () => {
    const found = endpointWith((stack) => (typeof props === 'function' ? props(stack) : props));
    assert.deepEqual(found, [problem]);
  });
}

test('nothing is refused of what is right', () => {
  assert.deepEqual(
    endpointWith(() => ({})),
    [],
  );
});

test('a role that is made must know where the models lie', () => {
  const found = findingsOf((stack) => new Endpoint(stack, 'Endpoint', { variants: [{ model }] }));
  assert.deepEqual(found, ['role is neither given nor known where models lie']);
  const later = findingsOf((stack) => {
    const modelData = new ParameterString('Model');
    new EndpointDeployment(stack, 'Endpoint', { variants: [{ model: { image: image(stack), modelData } }] });
  });
  assert.deepEqual(later, ['variants[0].model.modelData is known only later']);
});

test('an endpoint of a pipeline is not there when it would be registered for scaling', () => {
  const found = findingsOf(
    (stack) =>
      new EndpointDeployment(stack, 'Endpoint', {
        role: Role.fromRoleArn(stack, 'Role', ROLE_ARN),
        ...(scaled({}) as Pick<EndpointProps, 'variants'>),
      }),
  );
  assert.deepEqual(found, ['variants[0].autoscaling is given in a pipeline']);
});

const APPROVED: readonly (readonly [string, Partial<ApprovedModelEndpointProps>])[] = [
  ["modelPackageGroup is 'my_group'", { modelPackageGroup: 'my_group' }],
  ['keep is -1', { keep: -1 }],
  ['variants is each with a model of its own', { variants: [{ model }] }],
  [
    'variants is settings of N bytes',
    { tags: Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`tag-${i}`, 'x'.repeat(100)])) },
  ],
];

for (const [problem, props] of APPROVED) {
  test(`refused of an endpoint on approved versions: ${problem}`, () => {
    const found = findingsOf(
      (stack) =>
        new ApprovedModelEndpoint(stack, 'Endpoint', {
          role: Role.fromRoleArn(stack, 'Role', ROLE_ARN),
          modelPackageGroup: 'planes',
          ...props,
        }),
    );
    assert.deepEqual(
      found.map((one) => one.replace(/\d{4,} bytes/, 'N bytes')),
      [problem],
    );
  });
}

test('all that is wrong is told at once, with what is allowed and the fix', () => {
  assert.throws(
    () =>
      new Endpoint(new Stack(new App({ outdir: temporaryFolder() }), 'Test'), 'Endpoint', {
        endpointName: 'a_b',
        variants: [{ model, weight: -1, volumeSize: 0 }],
        capture: { percentage: 101 },
      }),
    (error: unknown) => {
      assert.ok(error instanceof PipelineError);
      assert.equal(error.findings.length, 7);
      assert.match(
        error.message,
        /Test\/Endpoint: capture\.percentage is 101; allowed is a whole number from 0 to 100\.\n +Fix: give one/,
      );
      return true;
    },
  );
});
