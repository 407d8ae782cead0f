// The inference server behind an endpoint: SageMaker's GET /ping and POST /invocations.
// https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html
import Fastify, { type FastifyInstance } from 'fastify';
import { decodeImage } from '../data/decode';
import type { OpenClassifier } from '../engine/artifact';
import { interpret } from '../engine/predict';

/** Bytes of a request; what SageMaker passes on to a real-time endpoint at most is 25 MB. */
const LARGEST_BODY = 25 * 2 ** 20;

const IMAGE_TYPES = ['image/png', 'image/jpeg', 'application/x-image', 'application/octet-stream'];

/** What a client did wrong. */
class Refusal extends Error {
  constructor(
    message: string,
    readonly statusCode = 400,
  ) {
    super(message);
  }
}

const ALLOWED = `send an image as the body (Content-Type ${IMAGE_TYPES.join(', ')}), or JSON as {"image": "base64"}`;

/** The image of a request: its body, or base64 in the field `image` of JSON. */
function imageBytes(body: unknown): Buffer {
  if (Buffer.isBuffer(body) && body.length > 0) return body;
  const encoded = (body as { image?: unknown } | null)?.image;
  if (typeof encoded === 'string') return Buffer.from(encoded, 'base64');
  throw new Refusal(ALLOWED);
}

/** The server, not yet listening. It answers /ping once the graph has run, so that no request waits for its compilation. */
export async function makeServer({ config, inference }: OpenClassifier): Promise<FastifyInstance> {
  const { height, width, channels } = config.image;
  await inference.logits(new Float32Array(height * width * channels), 1);

  const server = Fastify({ bodyLimit: LARGEST_BODY });
  server.addContentTypeParser(IMAGE_TYPES, { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  server.addContentTypeParser('*', (_request, _body, done) => done(new Refusal(ALLOWED, 415)));
  server.get('/ping', async () => ({ status: 'healthy' }));
  server.post('/invocations', async (request) => {
    const bytes = imageBytes(request.body);
    const pixels = await decodeImage(bytes, config.image).catch((error: Error) => {
      throw new Refusal(`the image cannot be read: ${error.message}`);
    });
    const [logits] = await inference.logits(Float32Array.from(pixels), 1);
    return interpret(logits as number[], config.classes);
  });
  return server;
}
