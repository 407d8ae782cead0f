// The roles as policies: what a pipeline and its jobs may do, on which ARNs, and under which conditions.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { App, Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { Repository } from 'aws-cdk-lib/aws-ecr';
import { PolicyStatement, Role } from 'aws-cdk-lib/aws-iam';
import { Key } from 'aws-cdk-lib/aws-kms';
import { Bucket } from 'aws-cdk-lib/aws-s3';
import {
  ByocImage,
  FailStep,
  JobRole,
  ModelStep,
  ParameterString,
  PipelineRole,
  type PipelineRoleProps,
  TrainingStep,
  Transform,
} from '../../../../lib';
import { resolveTemplate } from '../../../../lib/local';
import {
  EndpointConfigStep,
  EndpointStep,
  ExecutionVariables,
  InferenceComponentStep,
  join,
  RegisterModelStep,
  Step,
  TransformStep,
  TuningStep,
} from '../../../../lib/pipeline';
import { temporaryFolder } from '../../../training/temporary-folder';

interface Statement {
  readonly Action: string | string[];
  readonly Resource: string | string[];
  readonly Condition?: object;
}

function synth(make: (stack: Stack, shared: { bucket: Bucket; key: Key; image: ByocImage }) => unknown) {
  const stack = new Stack(new App({ outdir: temporaryFolder() }), 'Test');
  const image = ByocImage.fromEcr(stack, 'Image', new Repository(stack, 'Repository', { repositoryName: 'trainer' }));
  make(stack, { bucket: new Bucket(stack, 'Bucket', { bucketName: 'data' }), key: new Key(stack, 'Key'), image });
  const template = Template.fromStack(stack);
  const [policy, ...more] = Object.values(template.findResources('AWS::IAM::ManagedPolicy'));
  assert.equal(more.length, 0);
  template.resourceCountIs('AWS::IAM::Policy', 0);
  const { Statement } = resolveTemplate(policy?.Properties.PolicyDocument, template.toJSON()) as {
    Statement: Statement[];
  };
  return { template, statements: Statement };
}

/** The one statement that allows an action. */
function allowing(statements: readonly Statement[], action: string): Statement {
  const found = statements.filter(({ Action }) => [Action].flat().includes(action));
  assert.equal(found.length, 1, `${action} is allowed by ${found.length} statements`);
  return found[0] as Statement;
}

const job = synth((stack, { bucket, key, image }) => new JobRole(stack, 'Role', { bucket, key, images: [image] }));

const arn = (resource: string) => `arn:aws:sagemaker:us-east-1:000000000000:${resource}`;

const ROLE_ARN = 'arn:aws:iam::000000000000:role/job';

function training(name: string): TrainingStep {
  return new TrainingStep(name, {
    arguments: { RoleArn: ROLE_ARN, OutputDataConfig: { S3OutputPath: 's3://data/o' } } as never,
  });
}

function pipeline(props: Partial<PipelineRoleProps> & Pick<PipelineRoleProps, 'steps'>) {
  return synth(
    (stack, { bucket, key }) => new PipelineRole(stack, 'Role', { pipelineName: 'Scans', bucket, key, ...props }),
  );
}

test('SageMaker alone takes on a role, and only for its own account', () => {
  job.template.hasResourceProperties('AWS::IAM::Role', {
    AssumeRolePolicyDocument: {
      Statement: [
        {
          Action: 'sts:AssumeRole',
          Effect: 'Allow',
          Principal: { Service: 'sagemaker.amazonaws.com' },
          Condition: { StringEquals: { 'aws:SourceAccount': { Ref: 'AWS::AccountId' } } },
        },
      ],
    },
  });
  const [role] = Object.values(job.template.findResources('AWS::IAM::Role'));
  assert.equal(role?.Properties.ManagedPolicyArns, undefined);
});

test('a job reads and writes the objects of the one bucket, and deletes none', () => {
  assert.equal(allowing(job.statements, 's3:GetObject').Resource, 'arn:aws:s3:::data/*');
  assert.equal(allowing(job.statements, 's3:PutObject').Resource, 'arn:aws:s3:::data/*');
  assert.equal(allowing(job.statements, 's3:ListBucket').Resource, 'arn:aws:s3:::data');
  assert.doesNotMatch(JSON.stringify(job.statements), /s3:Delete|s3:\*/);
});

test('a job uses the one key, and passes it on to AWS alone', () => {
  const key = allowing(job.statements, 'kms:Decrypt').Resource;
  assert.match(String(key), /^arn:aws:kms:.*key/);
  const grant = allowing(job.statements, 'kms:CreateGrant');
  assert.deepEqual([grant.Resource, grant.Condition], [key, { Bool: { 'kms:GrantIsForAWSResource': 'true' } }]);
});

test('a job writes logs and metrics below /aws/sagemaker/', () => {
  const logs = 'arn:aws:logs:us-east-1:000000000000:log-group:/aws/sagemaker/*';
  assert.equal(allowing(job.statements, 'logs:PutLogEvents').Resource, logs);
  assert.deepEqual(allowing(job.statements, 'cloudwatch:PutMetricData').Condition, {
    StringLike: { 'cloudwatch:namespace': '/aws/sagemaker/*' },
  });
});

test('a job pulls its image alone', () => {
  assert.match(String(allowing(job.statements, 'ecr:BatchGetImage').Resource), /^arn:aws:ecr:.*(trainer|repository)/);
});

test("an image that is known by its URI alone may be pulled from its repository, AWS's own too", () => {
  const { statements } = synth((stack, { bucket, key }) => {
    const uri = '763104351884.dkr.ecr.eu-west-1.amazonaws.com/pytorch-training:2.3.0-gpu-py311';
    new JobRole(stack, 'Role', { bucket, key, images: [ByocImage.fromUri(stack, 'Theirs', uri)] });
  });
  const { Resource } = allowing(statements, 'ecr:BatchGetImage');
  assert.equal(Resource, 'arn:aws:ecr:eu-west-1:763104351884:repository/pytorch-training');
  assert.equal(allowing(statements, 'ecr:GetAuthorizationToken').Resource, '*');
});

test('only actions that take no resource have a wildcard for it', () => {
  const wild = job.statements.filter(({ Resource }) => [Resource].flat().includes('*'));
  assert.deepEqual(wild.flatMap(({ Action }) => Action).sort(), [
    'cloudwatch:PutMetricData',
    'ecr:GetAuthorizationToken',
  ]);
});

test('what is granted to a role comes into its managed policy', () => {
  const { statements } = synth((stack, { bucket, key, image }) => {
    const role = new JobRole(stack, 'Role', { bucket, key, images: [image] });
    new Bucket(stack, 'Other', { bucketName: 'other' }).grantPut(role);
  });
  assert.match(JSON.stringify(statements), /arn:aws:s3:::other/);
});

test('a pipeline creates, describes, stops and tags the jobs of its steps by their names, and no others', () => {
  const { statements } = pipeline({ steps: [training('Train'), new FailStep('Stop', { errorMessage: 'no' })] });
  const { Action, Resource } = allowing(statements, 'sagemaker:CreateTrainingJob');
  assert.deepEqual([...Action].sort(), [
    'sagemaker:AddTags',
    'sagemaker:CreateTrainingJob',
    'sagemaker:DescribeTrainingJob',
    'sagemaker:StopTrainingJob',
  ]);
  assert.deepEqual([...Resource].sort(), [
    arn('training-job/pipelines-*-Train*'),
    arn('training-job/pipelines-*-train*'),
  ]);
  assert.doesNotMatch(JSON.stringify(statements), /ProcessingJob|CreateModel|sagemaker:\*|"Resource":"\*"/);
});

test('the name of a long step is cut, for SageMaker cuts it too', () => {
  const { statements } = pipeline({ steps: [training('train-the-one-with-a-very-long-name')] });
  const { Resource } = allowing(statements, 'sagemaker:CreateTrainingJob');
  assert.equal(Resource, arn('training-job/pipelines-*-train-the-one-with-a*'));
});

test('many steps of a type share one pattern, and the policy stays within the limit of IAM', () => {
  const steps = Array.from({ length: 40 }, (_none, i) => training(`Train-number-${i}`));
  const { statements } = pipeline({ steps });
  assert.equal(allowing(statements, 'sagemaker:CreateTrainingJob').Resource, arn('training-job/pipelines-*'));
  assert.ok(JSON.stringify(statements).length < 6144);
});

test('a pipeline tunes: it starts, describes and stops tuning jobs, lists their best, and passes the role of their jobs', () => {
  const step = new TuningStep('Tune', { arguments: { TrainingJobDefinition: { RoleArn: ROLE_ARN } } as never });
  const { statements } = pipeline({ steps: [step] });
  const { Action, Resource } = allowing(statements, 'sagemaker:CreateHyperParameterTuningJob');
  assert.deepEqual([...Action].sort(), [
    'sagemaker:AddTags',
    'sagemaker:CreateHyperParameterTuningJob',
    'sagemaker:DescribeHyperParameterTuningJob',
    'sagemaker:ListTrainingJobsForHyperParameterTuningJob',
    'sagemaker:StopHyperParameterTuningJob',
  ]);
  // the name of a tuning job has 32 characters, of which SageMaker does not say what is left of the step's
  assert.equal(Resource, arn('hyper-parameter-tuning-job/*'));
  assert.equal(allowing(statements, 'iam:PassRole').Resource, ROLE_ARN);
  assert.doesNotMatch(JSON.stringify(statements), /CreateTrainingJob|"Resource":"\*"/);
});

test('a pipeline transforms: it starts, describes and stops the transform jobs of its steps', () => {
  const step = new TransformStep('Predict', { arguments: {} as never });
  const { Action, Resource } = allowing(pipeline({ steps: [step] }).statements, 'sagemaker:CreateTransformJob');
  assert.deepEqual([...Action].sort(), [
    'sagemaker:AddTags',
    'sagemaker:CreateTransformJob',
    'sagemaker:DescribeTransformJob',
    'sagemaker:StopTransformJob',
  ]);
  assert.deepEqual([...Resource].sort(), [
    arn('transform-job/pipelines-*-Predict*'),
    arn('transform-job/pipelines-*-predict*'),
  ]);
});

const OTHER_ACCOUNT = 'arn:aws:sagemaker:eu-west-1:111122223333:model-package/planes/3';

for (const [what, modelPackage, resource] of [
  ['a given version', OTHER_ACCOUNT, OTHER_ACCOUNT],
  [
    'a version that a step registers',
    new RegisterModelStep('Register', { arguments: { ModelPackageGroupName: 'planes' } }),
    arn('model-package/planes/*'),
  ],
  ['a version that is chosen at the start', new ParameterString('Package'), arn('model-package/*')],
] as const) {
  test(`a model of ${what} may be made, and no other`, () => {
    const { statements } = synth((stack, { bucket, key }) => {
      const role = Role.fromRoleArn(stack, 'Jobs', ROLE_ARN);
      const transform = new Transform(stack, 'Predict', {
        modelPackage,
        role,
        input: 's3://data/i',
        output: 's3://data/o',
      });
      const registered = modelPackage instanceof RegisterModelStep ? [modelPackage] : [];
      const steps = [...registered, ...transform.steps];
      new PipelineRole(stack, 'Role', { pipelineName: 'Scans', bucket, key, steps });
    });
    const reads = statements.filter(({ Action }) => Action.includes('sagemaker:CreateModel') && Action.length === 2);
    assert.deepEqual(
      reads.map(({ Action, Resource }) => [[Action].flat().sort(), Resource]),
      [[['sagemaker:CreateModel', 'sagemaker:DescribeModelPackage'], resource]],
    );
  });
}

test('a pipeline passes the roles that its steps name, to SageMaker alone', () => {
  const { statements } = pipeline({ steps: [training('Train'), training('Again')] });
  const { Resource, Condition } = allowing(statements, 'iam:PassRole');
  assert.equal(Resource, ROLE_ARN);
  assert.deepEqual(Condition, { StringEquals: { 'iam:PassedToService': 'sagemaker.amazonaws.com' } });
});

test('a pipeline that registers may add versions to that one group', () => {
  const step = new RegisterModelStep('Register', { arguments: { ModelPackageGroupName: 'planes' } });
  const { Resource } = allowing(pipeline({ steps: [step] }).statements, 'sagemaker:CreateModelPackage');
  assert.deepEqual(Resource, [arn('model-package-group/planes'), arn('model-package/planes/*')]);
});

test('a pipeline that makes models cannot stop them, and gives none another role', () => {
  const step = new ModelStep('Make', { arguments: { ExecutionRoleArn: ROLE_ARN } });
  const { statements } = pipeline({ steps: [step] });
  assert.doesNotMatch(JSON.stringify(allowing(statements, 'sagemaker:CreateModel')), /StopModel/);
  assert.equal(allowing(statements, 'iam:PassRole').Resource, ROLE_ARN);
});

test('a pipeline reads what its steps have written, and nothing else of the bucket', () => {
  const { statements } = pipeline({ steps: [training('Train')], prefix: 'runs' });
  assert.equal(allowing(statements, 's3:GetObject').Resource, 'arn:aws:s3:::data/runs/*');
  assert.doesNotMatch(JSON.stringify(statements), /s3:Put|s3:List/);
});

test('a pipeline that deploys may make and move the one endpoint, on configurations of its name alone', () => {
  const config = new EndpointConfigStep('Config', {
    arguments: { EndpointConfigName: join('-', 'planes', ExecutionVariables.pipelineExecutionId) } as never,
  });
  const endpoint = new EndpointStep('Deploy', {
    arguments: {
      EndpointName: 'Planes',
      EndpointConfigName: config.properties.EndpointConfigName,
      DeploymentConfig: { AutoRollbackConfiguration: { Alarms: [{ AlarmName: 'slow' }] } } as never,
    },
  });
  const { statements } = pipeline({ steps: [config, endpoint] });
  assert.equal(allowing(statements, 'sagemaker:CreateEndpointConfig').Resource, arn('endpoint-config/planes-*'));
  const resources = [arn('endpoint/Planes'), arn('endpoint/planes'), arn('endpoint-config/planes-*')];
  assert.deepEqual(allowing(statements, 'sagemaker:UpdateEndpoint'), {
    Action: ['sagemaker:CreateEndpoint', 'sagemaker:UpdateEndpoint'],
    Effect: 'Allow',
    Resource: resources,
  });
  assert.deepEqual(allowing(statements, 'sagemaker:DescribeEndpoint').Resource, resources.slice(0, 2));
  const alarm = 'arn:aws:cloudwatch:us-east-1:000000000000:alarm:slow';
  assert.equal(allowing(statements, 'cloudwatch:DescribeAlarms').Resource, alarm);
  assert.doesNotMatch(JSON.stringify(statements), /DeleteEndpoint|"Resource":"\*"/);
});

test('a pipeline that puts a component on an endpoint may make that one there', () => {
  const step = new InferenceComponentStep('Component', {
    arguments: { InferenceComponentName: 'copy', EndpointName: 'planes', Specification: {} },
  });
  const { statements } = pipeline({ steps: [step] });
  assert.deepEqual(allowing(statements, 'sagemaker:CreateInferenceComponent').Resource, [
    arn('inference-component/copy'),
    arn('endpoint/planes'),
  ]);
});

class UnknownStep extends Step {
  readonly type = 'Teleport' as never;

  constructor() {
    super('Beam', {});
  }

  protected override toArguments(): unknown {
    return {};
  }
}

test('a type of step whose needs are not known is refused, unless statements are given for it', () => {
  assert.throws(() => pipeline({ steps: [new UnknownStep()] }), /step Beam: .*type Teleport[\s\S]*`statements`/);
  const beam = new PolicyStatement({ actions: ['beam:Up'], resources: [ROLE_ARN] });
  const { statements } = pipeline({ steps: [new UnknownStep()], statements: [beam] });
  assert.equal(allowing(statements, 'beam:Up').Resource, ROLE_ARN);
});
