// SageMaker's `serve`: the model in /opt/ml/model behind /ping and /invocations.
import { join } from 'node:path';
import { baseFolder, runEntryPoint } from '../../../training/container';
import { openForInference } from '../../../training/engine/predict';
import { makeServer } from '../../../training/serving/server';

runEntryPoint(async () => {
  const server = await makeServer(await openForInference(join(baseFolder(), 'model')));
  // requests in progress are answered before the process ends
  process.once('SIGTERM', () => void server.close().then(() => process.exit(0)));
  const port = Number(process.env.SAGEMAKER_BIND_TO_PORT ?? 8080);
  const address = await server.listen({ port, host: process.env.SCANLINE_BIND_HOST ?? '0.0.0.0' });
  process.stdout.write(`serving at ${address}\n`);
});
