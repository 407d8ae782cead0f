// A worker of the server: a process of its own that decodes, runs the model and writes answers, so that the server outlives what breaks it.
import { UserError } from '../errors';
import { Batcher } from './batcher';
import { serveClassifier } from './classifier';
import { readInstances } from './instances';
import type { Answer, Invocation, WorkerMessage, WorkerSettings } from './protocol';
import { Refusal } from './refusal';
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
  { contentType, accept, body }: Invocation,
): Promise<Answer> {
  try {
    const { instances, single } = readInstances(contentType, Buffer.from(body.buffer, body.byteOffset, body.length));
    const outputs = await Promise.all(
      instances.map(async (instance, i) => {
        const input = await model.read(instance).catch((error: Error) => {
          if (single || !(error instanceof Refusal)) throw error;
          throw new Refusal(`instance ${i}: ${error.message}`, error.statusCode);
        });
        return batcher.add(input);
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
  }
}

async function serve<Input, Output>(
  model: ServedModel<Input, Output>,
  options: Pick<WorkerSettings, 'maxBatch' | 'latency'>,
): Promise<void> {
  await model.warm();
  const batcher = new Batcher<Input, Output>(
    (inputs) => model.run(inputs),
    options,
    (size, seconds) => send({ kind: 'batch', size, seconds }),
  );
  process.on('message', async (invocation: Invocation) => {
    send({ kind: 'answer', id: invocation.id, answer: await answer(model, batcher, invocation) });
  });
  send({ kind: 'ready', model: model.description });
}

// the server ends its workers itself, once they have answered; without it they end too
process.on('SIGTERM', () => {});
process.on('SIGINT', () => {});
process.on('disconnect', () => process.exit(0));
const settings = JSON.parse(process.argv[2] as string) as WorkerSettings;
serveClassifier(settings.model, settings.maxPixels)
  .then((model) => serve(model, settings))
  .catch((error: Error) => {
    if (!(error instanceof UserError)) throw error;
    send({ kind: 'unusable', problem: error.problem, fix: error.fix });
  });
