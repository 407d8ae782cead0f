// SageMaker's protocols over HTTP: AWS JSON 1.1 for the control plane, the runtime's REST for invocations.
import Fastify, { type FastifyInstance, type FastifyReply } from 'fastify';
import { ServiceError } from './errors';
import type { Endpoints } from './models/endpoints';
import { unique } from './names';
import type { Operation } from './operations';

const JSON_1_1 = 'application/x-amz-json-1.1';

/** The target of a request is the service's name and the operation's: `SageMaker.CreatePipeline`. */
const TARGET = /^SageMaker\.(\w+)$/;

/** Bytes; what SageMaker takes at most for an invocation. */
const LARGEST_BODY = 25 * 2 ** 20;

/** JSON 1.1 writes times as seconds. */
function encode(response: object): string {
  return JSON.stringify(response, function (this: Record<string, unknown>, key, value) {
    const original = this[key];
    return original instanceof Date ? original.getTime() / 1000 : value;
  });
}

function refuse(reply: FastifyReply, error: Error & { statusCode?: number }): FastifyReply {
  const { type, status } =
    error instanceof ServiceError
      ? error
      : (error.statusCode ?? 500) < 500
        ? { type: 'ValidationException', status: 400 }
        : { type: 'InternalFailure', status: 500 };
  return reply
    .status(status)
    .header('x-amzn-errortype', type)
    .type(JSON_1_1)
    .send(JSON.stringify({ __type: type, message: error.message }));
}

function parse(body: Buffer | undefined): unknown {
  if (body === undefined || body.length === 0) return {};
  try {
    return JSON.parse(body.toString('utf8'));
  } catch (error) {
    throw new ServiceError('SerializationException', `the request is not JSON: ${(error as Error).message}`);
  }
}

/** What a container is told of an invocation. */
const PASSED_ON = [
  ...['content-type', 'accept', 'x-amzn-sagemaker-custom-attributes', 'x-amzn-sagemaker-inference-id'],
  ...['x-amzn-sagemaker-target-model', 'x-amzn-sagemaker-session-id'],
];

/** The server, not yet listening. */
export function makeServer(operations: Readonly<Record<string, Operation>>, endpoints: Endpoints): FastifyInstance {
  const server = Fastify({ bodyLimit: LARGEST_BODY });
  // bodies are taken as they come: an invocation's is anything, and the control plane's has a type that is AWS's own
  server.removeAllContentTypeParsers();
  server.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  server.addHook('onSend', async (_request, reply) => {
    reply.header('x-amzn-requestid', unique(32));
  });
  server.setErrorHandler((error: Error, _request, reply) => refuse(reply, error));

  server.post('/', async (request, reply) => {
    const target = String(request.headers['x-amz-target'] ?? '');
    const name = TARGET.exec(target)?.[1] ?? '';
    const operation = Object.hasOwn(operations, name) ? operations[name] : undefined;
    if (operation === undefined) {
      const known = Object.keys(operations).join(', ');
      throw new ServiceError(
        'UnknownOperationException',
        `'${target}' is not known here; known operations of SageMaker are: ${known}`,
      );
    }
    const response = await operation(parse(request.body as Buffer | undefined) as never);
    return reply.type(JSON_1_1).send(encode(response));
  });

  server.post('/endpoints/:name/invocations', async (request, reply) => {
    const { name } = request.params as { name: string };
    const headers: Record<string, string> = {};
    for (const header of PASSED_ON) {
      const value = request.headers[header];
      if (value !== undefined) headers[header] = String(value);
    }
    const result = await endpoints.invoke(name, (request.body as Buffer | undefined) ?? Buffer.alloc(0), headers);
    if (result.status >= 400) {
      // SageMaker passes on what went wrong in a container as one error of its own
      const side = result.status < 500 ? 'client' : 'server';
      const message = `Received ${side} error (${result.status}) from ${result.variant} with message "${result.body.toString('utf8')}"`;
      return reply
        .status(424)
        .header('x-amzn-errortype', 'ModelError')
        .type('application/json')
        .send(
          JSON.stringify({ message, OriginalStatusCode: result.status, OriginalMessage: result.body.toString('utf8') }),
        );
    }
    return reply.header('x-amzn-invoked-production-variant', result.variant).type(result.contentType).send(result.body);
  });
  return server;
}
