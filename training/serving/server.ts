// The inference server behind an endpoint: SageMaker's GET /ping and POST /invocations, /execution-parameters for batch transform,
// /models and /metrics. https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html
import { randomUUID } from 'node:crypto';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import Negotiator from 'negotiator';
import { Monitoring } from './monitoring';
import { Refusal } from './refusal';
import type { ModelDescription } from './served-model';
import { Workers } from './workers';

export interface ServerOptions {
  /** Folder of the model. */
  readonly model: string;
  /** Address to listen at. @default 0.0.0.0, as SageMaker needs it */
  readonly host?: string;
  /** @default 8080 */
  readonly port?: number;
  /** Processes that run the model, each with its own copy. @default 1 */
  readonly workers?: number;
  /** Most images that run together. @default 32 */
  readonly maxBatch?: number;
  /** Milliseconds that the run of a batch may take: batches are kept as small as that needs. @default 250 */
  readonly latency?: number;
  /** Requests that wait or are worked on at most; more are answered 503 with Retry-After. @default 256 */
  readonly maxRequests?: number;
  /** Bytes of a request. @default 25 MiB, what a real-time endpoint passes on */
  readonly maxBody?: number;
  /** Bytes of all requests together; more are answered 503 with Retry-After. @default 512 MiB */
  readonly maxBodies?: number;
  /** Pixels of an image, height x width, before it is resized. @default 2^26, as 8192 x 8192 */
  readonly maxPixels?: number;
  /** Values of a volume, voxels x channels, as it is sent and at the spacing of the training. @default 2^27, as 512 x 512 x 512 */
  readonly maxValues?: number;
  /** Milliseconds that a client has to send its request. @default 30,000 */
  readonly requestTimeout?: number;
  /** Milliseconds from a request to its answer; what takes longer is answered 504. @default 60,000, as SageMaker waits */
  readonly deadline?: number;
  /** Milliseconds that a worker has to give up what took longer, before it counts as stuck and is replaced. @default 10,000 */
  readonly grace?: number;
  /** Whether each request is a line of JSON on standard output: its id, status, bytes and times, and nothing of the image. @default false */
  readonly log?: boolean;
}

export interface InferenceServer {
  readonly url: string;
  /** Answers what is in progress, then ends. */
  close(): Promise<void>;
}

const MIB = 2 ** 20;

/** Milliseconds that a connection is kept for the next request: longer than proxies keep theirs, which would meet a closed one. */
const KEEP_ALIVE = 72_000;

/** Milliseconds between looks for clients that are too slow. */
const CHECK_INTERVAL = 1000;

const DEFAULTS = {
  host: '0.0.0.0',
  port: 8080,
  workers: 1,
  maxBatch: 32,
  latency: 250,
  maxRequests: 256,
  maxBody: 25 * MIB,
  maxBodies: 512 * MIB,
  maxPixels: 2 ** 26,
  maxValues: 2 ** 27,
  requestTimeout: 30_000,
  deadline: 60_000,
  grace: 10_000,
  log: false,
};

type Settings = typeof DEFAULTS & Pick<ServerOptions, 'model'>;

function contentTypeOf({ headers }: FastifyRequest, model: ModelDescription): string {
  const type = (headers['content-type'] ?? 'application/octet-stream').split(';')[0]?.trim().toLowerCase() as string;
  if (headers['content-encoding'] !== undefined && headers['content-encoding'] !== 'identity')
    throw new Refusal(`Content-Encoding ${headers['content-encoding']} is not taken; send the body as it is.`, 415);
  if (model.accepts.includes(type)) return type;
  throw new Refusal(`Content-Type ${type} is not taken; this model takes ${model.accepts.join(', ')}.`, 415);
}

function acceptedType({ headers }: FastifyRequest, model: ModelDescription): string {
  // an empty header is none
  const { accept = '' } = headers;
  const type = new Negotiator({ headers: { accept: accept.trim() || '*/*' } }).mediaType([...model.produces]);
  if (type !== undefined) return type;
  throw new Refusal(`Accept ${accept} cannot be given; this model gives ${model.produces.join(', ')}.`, 406);
}

/** What SageMaker passes on of what a client asks besides: InvokeEndpoint's CustomAttributes. */
const CUSTOM_ATTRIBUTES = 'x-amzn-sagemaker-custom-attributes';

function isExplanationAsked({ headers }: FastifyRequest): boolean {
  return /(^|[;,\s])explain\s*=\s*(true|1)\s*($|[;,\s])/i.test(String(headers[CUSTOM_ATTRIBUTES] ?? ''));
}

/** Counts the bytes of requests that are in memory, or on their way. */
class Bodies {
  private bytes = 0;

  constructor(private readonly settings: Settings) {}

  /** @throws Refusal where there is no room */
  admit(request: FastifyRequest, reply: FastifyReply): void {
    const { maxBody, maxBodies } = this.settings;
    const length = request.headers['content-length'];
    const size = Math.min(length === undefined ? maxBody : Number(length), maxBody);
    if (this.bytes + size > maxBodies)
      throw new Refusal('the requests in progress fill the memory that they may take; come again in a second.', 503);
    this.bytes += size;
    reply.raw.once('close', () => {
      this.bytes -= size;
    });
  }
}

function addRoutes(server: FastifyInstance, workers: Workers, monitoring: Monitoring, settings: Settings): void {
  const bodies = new Bodies(settings);
  const model = () => {
    if (workers.model) return workers.model;
    throw new Refusal('the model is not loaded yet; come again in a second.', 503);
  };
  server.get('/ping', (_request, reply) => {
    const isHealthy = workers.ready > 0;
    return reply.status(isHealthy ? 200 : 503).send({ status: isHealthy ? 'healthy' : 'no worker is ready' });
  });
  server.get('/execution-parameters', () => ({
    MaxConcurrentTransforms: settings.workers * workers.maxBatch,
    BatchStrategy: 'MULTI_RECORD',
    MaxPayloadInMB: Math.floor(settings.maxBody / MIB),
  }));
  server.get('/models', () => ({ models: [model()] }));
  server.get('/metrics', async (_request, reply) => reply.type(monitoring.contentType).send(await monitoring.text()));
  server.post(
    '/invocations',
    { onRequest: async (request, reply) => bodies.admit(request, reply) },
    async (request, reply) => {
      const contentType = contentTypeOf(request, model());
      const accept = acceptedType(request, model());
      const explain = isExplanationAsked(request);
      const body = (request.body as Buffer | undefined) ?? Buffer.alloc(0);
      const answer = await workers.invoke({ contentType, accept, explain, body }, () => reply.raw.destroyed);
      monitoring.answered(answer.instances);
      return reply.status(answer.status).type(answer.contentType).send(Buffer.from(answer.body));
    },
  );
}

/** Every refusal is JSON that says why; what may be tried again says when. */
function answerErrors(server: FastifyInstance): void {
  server.setErrorHandler((error: Error & { statusCode?: number }, _request, reply) => {
    const statusCode = error.statusCode ?? 500;
    if (statusCode === 503) reply.header('retry-after', '1');
    return reply.status(statusCode).send({ statusCode, message: error.message });
  });
  server.setNotFoundHandler(({ method, url }, reply) => {
    const message = `there is no ${method} ${url}; there are GET /ping, /models, /metrics, /execution-parameters and POST /invocations.`;
    return reply.status(404).send({ statusCode: 404, message });
  });
}

function logRequests(server: FastifyInstance, monitoring: Monitoring, isLogged: boolean): void {
  server.addHook('onResponse', async (request, reply) => {
    if (request.url.split('?')[0] !== '/invocations') return;
    monitoring.request(reply.statusCode, reply.elapsedTime / 1000);
    if (!isLogged) return;
    const line = {
      time: new Date().toISOString(),
      request: request.id,
      status: reply.statusCode,
      milliseconds: Math.round(reply.elapsedTime * 10) / 10,
      received: Number(request.headers['content-length'] ?? 0),
      sent: Number(reply.getHeader('content-length') ?? 0),
    };
    process.stdout.write(`${JSON.stringify(line)}\n`);
  });
  server.addHook('onSend', async (request, reply) => {
    reply.header('x-request-id', request.id);
  });
}

/**
 * Starts a server; it listens once the model has run.
 *
 * @throws UserError where the folder holds no model that can be served
 */
export async function startServer(options: ServerOptions): Promise<InferenceServer> {
  const settings: Settings = { ...DEFAULTS, ...options };
  const observer = {
    batch: (size: number, seconds: number) => monitoring.batch(size, seconds),
    workerLost: () => monitoring.workerLost(),
  };
  const workers: Workers = new Workers(settings, observer);
  const monitoring = new Monitoring(workers);
  // the workers load the model while this process loads what it needs itself
  const ready = workers.start();
  ready.catch(() => {});
  const { default: Fastify } = await import('fastify');
  const server = Fastify({
    bodyLimit: settings.maxBody,
    requestTimeout: settings.requestTimeout,
    forceCloseConnections: 'idle',
    keepAliveTimeout: KEEP_ALIVE,
    http: { connectionsCheckingInterval: CHECK_INTERVAL },
    genReqId: ({ headers }) =>
      String(headers['x-amzn-sagemaker-inference-id'] ?? headers['x-request-id'] ?? randomUUID()).slice(0, 128),
  });
  server.removeAllContentTypeParsers();
  server.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  answerErrors(server);
  logRequests(server, monitoring, settings.log);
  addRoutes(server, workers, monitoring, settings);
  let isClosing = false;
  // a connection that was busy when the end began must not be waited for once it is idle
  server.addHook('onSend', async (_request, reply) => {
    if (isClosing) reply.header('connection', 'close');
  });
  try {
    await ready;
    const url = await server.listen({ port: settings.port, host: settings.host });
    return {
      url,
      close: async () => {
        isClosing = true;
        await server.close();
        await workers.close();
      },
    };
  } catch (error) {
    await workers.close();
    throw error;
  }
}
