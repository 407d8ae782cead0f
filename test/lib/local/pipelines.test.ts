// Pipelines over HTTP: made, described, changed, and refused with the exceptions that SageMaker has for it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  CreatePipelineCommand,
  DescribePipelineCommand,
  ListPipelinesCommand,
  StartPipelineExecutionCommand,
  UpdatePipelineCommand,
} from '@aws-sdk/client-sagemaker';
import { pushPipeline } from '../../../lib/operations/execution';
import { controlPlane, ROLE } from './control-plane';

const definition = (message: string) =>
  JSON.stringify({
    Version: '2020-12-01',
    Parameters: [
      { Name: 'Mode', Type: 'String', DefaultValue: 'fast', EnumValues: ['fast', 'good'] },
      { Name: 'Epochs', Type: 'Integer', DefaultValue: 3 },
    ],
    Steps: [{ Name: 'Stop', Type: 'Fail', Arguments: { ErrorMessage: message } }],
  });

const request = (PipelineDefinition = definition('no')) => ({ PipelineName: 'p', PipelineDefinition, RoleArn: ROLE });

test('what is created is described as it was given', async (t) => {
  const { client } = await controlPlane(t);
  const before = Date.now();
  const { PipelineArn } = await client.send(new CreatePipelineCommand(request()));
  const described = await client.send(new DescribePipelineCommand({ PipelineName: 'p' }));
  assert.equal(PipelineArn, 'arn:aws:sagemaker:us-east-1:000000000000:pipeline/p');
  assert.equal(described.PipelineArn, PipelineArn);
  assert.equal(described.PipelineDefinition, definition('no'));
  assert.equal(described.RoleArn, ROLE);
  assert.equal(described.PipelineStatus, 'Active');
  // times go over the wire as seconds and must come back as the same moment
  assert.ok(Math.abs((described.CreationTime as Date).getTime() - before) < 5_000, String(described.CreationTime));
});

test('a pipeline is found by its ARN too', async (t) => {
  const { client } = await controlPlane(t);
  const { PipelineArn } = await client.send(new CreatePipelineCommand(request()));
  const { PipelineName } = await client.send(new DescribePipelineCommand({ PipelineName: PipelineArn }));
  assert.equal(PipelineName, 'p');
});

test('an update changes the definition and the role', async (t) => {
  const { client } = await controlPlane(t);
  await client.send(new CreatePipelineCommand(request()));
  await client.send(
    new UpdatePipelineCommand({ PipelineName: 'p', PipelineDefinition: definition('never'), RoleArn: `${ROLE}2` }),
  );
  const { PipelineDefinition, RoleArn } = await client.send(new DescribePipelineCommand({ PipelineName: 'p' }));
  assert.deepEqual([PipelineDefinition, RoleArn], [definition('never'), `${ROLE}2`]);
});

test('pushing twice makes it, then changes it', async (t) => {
  const { client } = await controlPlane(t);
  for (const message of ['first', 'second'])
    await pushPipeline(client, { name: 'p', definition: definition(message), roleArn: ROLE });
  const { PipelineSummaries } = await client.send(new ListPipelinesCommand({}));
  assert.equal(PipelineSummaries?.length, 1);
  const { PipelineDefinition } = await client.send(new DescribePipelineCommand({ PipelineName: 'p' }));
  assert.equal(PipelineDefinition, definition('second'));
});

// what AWS's Python SDK looks for before it updates instead
test('a name that is taken is refused as SageMaker does it', async (t) => {
  const { client } = await controlPlane(t);
  await client.send(new CreatePipelineCommand(request()));
  await assert.rejects(client.send(new CreatePipelineCommand(request())), {
    name: 'ValidationException',
    message: /already exists/,
  });
});

test('a pipeline that is not there is ResourceNotFound', async (t) => {
  const { client } = await controlPlane(t);
  await assert.rejects(client.send(new DescribePipelineCommand({ PipelineName: 'gone' })), {
    name: 'ResourceNotFound',
    message: /there is no pipeline gone/,
  });
  await assert.rejects(client.send(new UpdatePipelineCommand({ PipelineName: 'gone' })), { name: 'ResourceNotFound' });
  await assert.rejects(client.send(new StartPipelineExecutionCommand({ PipelineName: 'gone' })), {
    name: 'ResourceNotFound',
  });
});

const refused = {
  'is not JSON': { definition: '{', message: /not JSON/ },
  'has no steps': { definition: 'null', message: /no list of Steps/ },
  'refers to a step that is not there': {
    definition: JSON.stringify({
      Steps: [{ Name: 'A', Type: 'Fail', Arguments: { ErrorMessage: { Get: 'Steps.Gone.X' } } }],
    }),
    message: /step A: it refers to the step Gone.*Fix: add that step/,
  },
};

for (const [what, { definition, message }] of Object.entries(refused)) {
  test(`a definition that ${what} is refused`, async (t) => {
    const { client } = await controlPlane(t);
    await assert.rejects(client.send(new CreatePipelineCommand(request(definition))), {
      name: 'ValidationException',
      message,
    });
  });
}

const wrongParameters = {
  'an unknown parameter': { Name: 'Gone', Value: 'x', message: /no parameter Gone; it has: Mode, Epochs/ },
  'a value that is not allowed': { Name: 'Mode', Value: 'slow', message: /Mode is slow; allowed are fast, good/ },
  'a value of another type': { Name: 'Epochs', Value: '1.5', message: /Epochs is '1.5', which is no Integer/ },
};

for (const [what, { Name, Value, message }] of Object.entries(wrongParameters)) {
  test(`a start with ${what} is refused`, async (t) => {
    const { client } = await controlPlane(t);
    await client.send(new CreatePipelineCommand(request()));
    const start = new StartPipelineExecutionCommand({ PipelineName: 'p', PipelineParameters: [{ Name, Value }] });
    await assert.rejects(client.send(start), { name: 'ValidationException', message });
  });
}

test('a start without a parameter that has no default is refused', async (t) => {
  const { client } = await controlPlane(t);
  const Parameters = [{ Name: 'Needed', Type: 'String' }];
  const Steps = [{ Name: 'Stop', Type: 'Fail', Arguments: { ErrorMessage: { Get: 'Parameters.Needed' } } }];
  await client.send(new CreatePipelineCommand(request(JSON.stringify({ Parameters, Steps }))));
  await assert.rejects(client.send(new StartPipelineExecutionCommand({ PipelineName: 'p' })), {
    name: 'ValidationException',
    message: /Needed has no default/,
  });
});
