// One training step of a Scanline network for each line on standard input; prints its milliseconds. At the end: the peak memory in MB, and
// a step's floating-point operations.
// usage: scanline-step.js NETWORK BATCH SIZE PRECISION THREADS [TRACE], where the fifth step's RunMetadata is written to the file TRACE
import { writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { stepCost } from '../training/benchmark/step-cost';
import { CompiledRuntime } from '../training/compiler/compiled';
import { type Program, scalar } from '../training/compiler/runtime';
import type { Precision } from '../training/compiler/session-config';
import { Model } from '../training/engine/model';
import { makeOptimizer, type Optimizer } from '../training/engine/optimization/optimizers';
import { crossEntropy } from '../training/losses/cross-entropy';
import { buildNetwork } from '../training/models';
import { native } from '../training/native/tensorflow';
import { reshape } from '../training/ops/layout';
import { readHyperparameters } from '../training/settings';

type Input = 'images' | 'labels' | 'step' | 'rate' | 'epsilon' | 'decay';

/** The configurations of monai_step.py, where they are not the defaults of hyperparameters. */
const OPTIONS: Readonly<Record<string, object>> = {
  segresnet: { init_filters: 16 },
  unet: { channels: '64,128,256,512,1024' },
  swinunetr: { feature_size: 48 },
};

const VOLUMES = ['segresnet', 'unet', 'swinunetr'];

/** Forward, cross-entropy of each image or voxel, backward, update. */
function stepProgram(runtime: CompiledRuntime, model: Model, optimizer: Optimizer, shape: readonly number[]) {
  const number = { dtype: 'float32', shape: [] } as const;
  const inputs = {
    images: { dtype: 'float32', shape: [-1, ...shape] },
    labels: { dtype: 'int32', shape: [-1] },
    step: { dtype: 'int32', shape: [] },
    ...{ rate: number, epsilon: number, decay: number },
  } as const;
  return runtime.program(inputs, ({ images, labels, step, ...coefficients }) => {
    const { loss, gradients } = model.gradients(
      images,
      (site) => ({ seed: 0, site, step }),
      (logits) => crossEntropy(reshape(logits, [-1, logits.shape.at(-1) as number]), labels),
    );
    optimizer.apply(gradients, coefficients);
    return { loss };
  });
}

async function main([name = '', batchText, sizeText, precision, threadsText, trace]: readonly string[]): Promise<void> {
  const [count, size, threads] = [Number(batchText), Number(sizeText), Number(threadsText)];
  native.setKernelThreads(threads);
  const runtime = new CompiledRuntime({ threads, precision: precision as Precision });
  const volumes = VOLUMES.includes(name);
  const sides = new Array<number>(volumes ? 3 : 2).fill(size);
  const [inChannels, classes] = name === 'vit_conv' ? [3, 9] : [1, 2];
  const hyperparameters = readHyperparameters({ given: { model_name: name, ...OPTIONS[name] } });
  const network = buildNetwork(hyperparameters, { inChannels, classes, imageSize: sides });
  const model = new Model(network, runtime);
  const optimizer = makeOptimizer(runtime, model.trained, { name: 'adam', weightDecay: 0, momentum: 0 });
  const program: Program<Input, 'loss'> = stepProgram(runtime, model, optimizer, [...sides, inChannels]);
  await model.initialise(0);
  await optimizer.initialise();
  const pixels = sides.reduce((product, side) => product * side, count);
  const images = Float32Array.from({ length: pixels * inChannels }, (_, i) => ((i * 7919) % 256) / 255);
  const labels = Int32Array.from({ length: volumes ? pixels : count }, (_, i) => i % classes);
  let step = 0;
  const takeStep = async () => {
    const { rate, epsilon, decay } = optimizer.coefficients(1e-3, step + 1);
    await program.run({
      images: { shape: [count, ...sides, inChannels], data: images },
      labels: { shape: [labels.length], data: labels },
      step: scalar.int(step++),
      ...{ rate: scalar.float(rate), epsilon: scalar.float(epsilon), decay: scalar.float(decay) },
    });
  };
  for await (const _ of createInterface({ input: process.stdin })) {
    if (step === 5 && trace) runtime.traceNextRun((metadata) => writeFileSync(trace, metadata));
    const start = performance.now();
    await takeStep();
    process.stdout.write(`${performance.now() - start}\n`);
  }
  process.stdout.write(`${process.resourceUsage().maxRSS / 1024}\n`);
  runtime.traceNextRun((metadata) => process.stdout.write(`${stepCost(metadata).operations}\n`));
  await takeStep();
}

void main(process.argv.slice(2));
