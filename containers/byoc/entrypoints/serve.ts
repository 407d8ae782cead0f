// SageMaker's `serve`: the model in /opt/ml/model behind /ping and /invocations. Environment variables set what SageMaker does not.
import { join } from 'node:path';
import { baseFolder, runEntryPoint } from '../../../training/container';
import { UserError } from '../../../training/errors';
import { startServer } from '../../../training/serving/server';

/** A whole number from the environment. */
function numberFrom(name: string, least = 1): number | undefined {
  const text = process.env[name];
  if (text === undefined || text === '') return undefined;
  const value = Number(text);
  if (Number.isInteger(value) && value >= least) return value;
  throw new UserError(`${name} is '${text}'; allowed are whole numbers from ${least}.`, 'mend it, or leave it out.');
}

const times = (factor: number, value: number | undefined) => (value === undefined ? undefined : factor * value);

/** The options that are given; the others are the server's own. */
function given<Options extends object>(options: Options): { [Name in keyof Options]: NonNullable<Options[Name]> } {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as never;
}

runEntryPoint(async () => {
  const server = await startServer({
    model: join(baseFolder(), 'model'),
    log: true,
    ...given({
      host: process.env.SCANLINE_BIND_HOST,
      port: numberFrom('SAGEMAKER_BIND_TO_PORT', 0),
      workers: numberFrom('SCANLINE_WORKERS'),
      maxBatch: numberFrom('SCANLINE_MAX_BATCH'),
      latency: numberFrom('SCANLINE_BATCH_MILLISECONDS'),
      maxRequests: numberFrom('SCANLINE_MAX_REQUESTS'),
      maxPixels: numberFrom('SCANLINE_MAX_PIXELS'),
      maxValues: numberFrom('SCANLINE_MAX_VOXELS'),
      maxBody: times(2 ** 20, numberFrom('SCANLINE_MAX_BODY_MB')),
      deadline: times(1000, numberFrom('SAGEMAKER_MODEL_SERVER_TIMEOUT')),
    }),
  });
  // requests in progress are answered before the process ends
  process.once('SIGTERM', () => void server.close().then(() => process.exit(0)));
  process.stdout.write(`serving at ${server.url}\n`);
});
