// The protocol itself: what is no request of SageMaker's is refused by name, and nobody else on the network can ask.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { DescribePipelineCommand, ListDomainsCommand } from '@aws-sdk/client-sagemaker';
import { controlPlane } from './control-plane';

async function post(url: string, target: string, body: string) {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/x-amz-json-1.1', 'x-amz-target': target },
    body,
  });
  return { status: response.status, type: response.headers.get('x-amzn-errortype'), body: await response.text() };
}

test('an operation that is not known is named, with those that are', async (t) => {
  const { client } = await controlPlane(t);
  await assert.rejects(client.send(new ListDomainsCommand({})), {
    name: 'UnknownOperationException',
    message: /SageMaker\.ListDomains.*CreatePipeline.*CreateTrainingJob/,
  });
});

test('what JavaScript objects inherit is no operation', async (t) => {
  const { url } = await controlPlane(t);
  assert.equal((await post(url, 'SageMaker.constructor', '{}')).type, 'UnknownOperationException');
});

test('a body that is not JSON is a SerializationException', async (t) => {
  const { url } = await controlPlane(t);
  const { status, type } = await post(url, 'SageMaker.DescribePipeline', '{');
  assert.deepEqual([status, type], [400, 'SerializationException']);
});

test('a request without the name that it needs is a ValidationException', async (t) => {
  const { client } = await controlPlane(t);
  await assert.rejects(client.send(new DescribePipelineCommand({ PipelineName: undefined })), {
    name: 'ValidationException',
  });
});

test('it listens on 127.0.0.1 only', async (t) => {
  const { url } = await controlPlane(t);
  const port = Number(new URL(url).port).toString(16).toUpperCase().padStart(4, '0');
  const LISTEN = '0A';
  // Linux's own list: address:port in hexadecimal, the address's bytes backwards
  const listening = ['tcp', 'tcp6'].flatMap((family) =>
    readFileSync(`/proc/net/${family}`, 'utf8')
      .split('\n')
      .map((line) => line.trim().split(/\s+/))
      .filter(([, local, , state]) => local?.endsWith(`:${port}`) && state === LISTEN)
      .map(([, local]) => local),
  );
  assert.deepEqual(listening, [`0100007F:${port}`]);
});
