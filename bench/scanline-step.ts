// One training step of a Scanline network for each line on standard input; prints its milliseconds. At the end: the peak memory in MB.
// usage: scanline_step.js NETWORK BATCH SIZE PRECISION THREADS
import { createInterface } from 'node:readline';
import { CompiledRuntime } from '../training/compiler/compiled';
import type { Precision } from '../training/compiler/session-config';
import type { Batch } from '../training/data/loader';
import { Model } from '../training/engine/model';
import { makeOptimizer } from '../training/engine/optimization/optimizers';
import { TrainingStep } from '../training/engine/training-step';
import { buildNetwork } from '../training/models';
import { native } from '../training/native/tensorflow';
import { readHyperparameters } from '../training/settings';

async function main([name, batchText, sizeText, precision, threadsText]: readonly string[]): Promise<void> {
  const [count, size, threads] = [Number(batchText), Number(sizeText), Number(threadsText)];
  native.setKernelThreads(threads);
  const image = { height: size, width: size, channels: 1 };
  const runtime = new CompiledRuntime({ threads, precision: precision as Precision });
  const hyperparameters = readHyperparameters({ given: { model_name: name, img_size: size } });
  const model = new Model(
    buildNetwork(hyperparameters, { inChannels: 1, classes: 2, imageSize: [size, size] }),
    runtime,
  );
  const optimizer = makeOptimizer(runtime, model.trained, { name: 'adam', weightDecay: 0, momentum: 0 });
  const step = new TrainingStep(runtime, model, optimizer, { image, normalize: 'minmax', seed: 0 });
  await model.initialise(0);
  await optimizer.initialise();
  const images = Float32Array.from({ length: count * size * size }, (_, i) => (i * 7919) % 256);
  const labels = Int32Array.from({ length: count }, (_, i) => i % 2);
  const batch: Batch = { number: 0, count, images, labels, indices: [...labels.keys()] };
  let number = 0;
  for await (const _ of createInterface({ input: process.stdin })) {
    const start = performance.now();
    await step.run(batch, 1e-3, number++);
    process.stdout.write(`${performance.now() - start}\n`);
  }
  process.stdout.write(`${process.resourceUsage().maxRSS / 1024}\n`);
}

void main(process.argv.slice(2));
