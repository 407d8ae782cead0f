// A worker of the server: a process of its own that decodes, runs the model and writes answers, so that the server outlives what breaks it.
import { classifies, type OpenModel, type SegmenterConfig } from '../engine/artifact';
import { openForInference } from '../engine/prediction/predict';
import { UserError } from '../errors';
import { Batcher } from './batcher';
import { serveClassifier } from './classifier';
import { readInstances } from './instances';
import type { Answer, Invocation, WorkerMessage, WorkerSettings } from './protocol';
import { Refusal, TIMED_OUT, TOO_LONG } from './refusal';
import { serveSegmenter } from './segmenter';
import type { ServedModel } from './served-model';

function send(message: WorkerMessage): void {
  process.send?.(message);
}

function problem(error: unknown): Answer {
  const { message, stack } = error as Error;
  const isRefused = error instanceof Refusal;
  if (!isRefused) process.stderr.write(`${stack ?? message}\n`);
  const status = isRefused ? error.statusCode : 500;
  const body = { statusCode: status, message: isRefused ? message : 'the model failed; its log says why' };
  return { status, contentType: 'application/json', body: Buffer.from(JSON.stringify(body)), instances: 0 };
}

async function answer<Input, Output>(
  model: ServedModel<Input, Output>,
  batcher: Batcher<Input, Output>,
  { contentType, accept, explain, body, remaining }: Invocation,
): Promise<Answer> {
  const ending = new AbortController();
  const timer = setTimeout(() => ending.abort(new Refusal(TOO_LONG, TIMED_OUT)), remaining);
  try {
    const { instances, single } = readInstances(contentType, Buffer.from(body.buffer, body.byteOffset, body.length));
    const outputs = await Promise.all(
      instances.map(async (instance, i) => {
        try {
          return await batcher.add(await model.read(instance, { type: accept, explain, signal: ending.signal }));
        } catch (error) {
          if (single || !(error instanceof Refusal)) throw error;
          throw new Refusal(`instance ${i}: ${error.message}`, error.statusCode);
        }
      }),
    );
    return {
      status: 200,
      contentType: accept,
      body: model.write(outputs, accept, single),
      instances: instances.length,
    };
  } catch (error) {
    return problem(error);
  } finally {
    clearTimeout(timer);
  }
}

async function serve<Input, Output>(
  model: ServedModel<Input, Output>,
  { maxBatch, latency }: Pick<WorkerSettings, 'maxBatch' | 'latency'>,
): Promise<void> {
  await model.warm();
  const most = Math.min(maxBatch, model.maxBatch ?? maxBatch);
  const batcher = new Batcher<Input, Output>(
    (inputs) => model.run(inputs),
    { maxBatch: most, latency },
    (size, seconds) => send({ kind: 'batch', size, seconds }),
  );
  process.on('message', async (invocation: Invocation) => {
    send({ kind: 'answer', id: invocation.id, answer: await answer(model, batcher, invocation) });
  });
  send({ kind: 'ready', model: model.description, maxBatch: most });
}

/** Serves the model of a folder, whatever its task. @throws UserError where there is none, or it is damaged */
async function serveFolder(settings: WorkerSettings): Promise<void> {
  const model = await openForInference(settings.model);
  if (classifies(model)) await serve(serveClassifier({ ...model, close: model.close }, settings.maxPixels), settings);
  else
    await serve(serveSegmenter(model as OpenModel<SegmenterConfig> & { close(): void }, settings.maxValues), settings);
}

// the server ends its workers itself, once they have answered; without it they end too
process.on('SIGTERM', () => {});
process.on('SIGINT', () => {});
process.on('disconnect', () => process.exit(0));
const settings = JSON.parse(process.argv[2] as string) as WorkerSettings;
serveFolder(settings).catch((error: Error) => {
  if (!(error instanceof UserError)) throw error;
  send({ kind: 'unusable', problem: error.problem, fix: error.fix });
});
