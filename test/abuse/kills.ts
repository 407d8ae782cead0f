// Kills a training again and again: SIGKILL at seeded moments, each time resumed; it must end with the very weights, and state of the
// optimizer, of a training that nobody disturbed. Run by `npm run test:kills`; --kills makes it shorter, --seed another one.
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { randomSource } from '../../training/data/random';
import { listCheckpoints } from '../../training/engine/checkpoints/checkpoint-list';
import { packageRoot } from '../../training/native/cache';
import { writeDataset } from '../training/sample-images';
import { temporaryFolder } from '../training/temporary-folder';

/** All that draws random numbers, and all that a checkpoint holds: order, augmentation, dropout, averages, accumulated gradients. */
const HYPERPARAMETERS = {
  ...{
    init_features: 4,
    growth_rate: 2,
    bn_size: 1,
    block_config: '"1,1"',
    img_size: 32,
    batch_size: 2,
    num_epochs: 12,
  },
  ...{ dropout: 0.2, optimizer: 'adamw', weight_decay: 0.01, flip: 'both', augment_prob: 0.8, lr_schedule: 'cosine' },
  ...{ ema_decay: 0.9, accumulate_grad_batches: 3, checkpoint_interval: 7 },
};

async function jobFolder(): Promise<string> {
  const base = temporaryFolder();
  for (const folder of ['input/config', 'model', 'output', 'checkpoints'])
    mkdirSync(join(base, folder), { recursive: true });
  const strings = Object.entries(HYPERPARAMETERS).map(([name, value]) => [name, String(value)]);
  writeFileSync(join(base, 'input/config/hyperparameters.json'), JSON.stringify(Object.fromEntries(strings)));
  await writeDataset(join(base, 'input/data'), { train: 20, validation: 4 });
  return base;
}

const newest = (base: string) => listCheckpoints(join(base, 'checkpoints'))[0];

interface Ended {
  readonly signal: NodeJS.Signals | null;
  readonly seconds: number;
}

/** Trains in a process group of its own, which is killed after so many milliseconds, if they come. */
function train(base: string, killAfter?: number): Promise<Ended> {
  const began = performance.now();
  const child = spawn(process.execPath, [join(packageRoot, 'dist/containers/byoc/entrypoints/train.js')], {
    detached: true,
    env: { ...process.env, SAGEMAKER_BASE_DIR: base },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr.on('data', (chunk) => {
    said += chunk;
  });
  const timer =
    killAfter === undefined ? undefined : setTimeout(() => process.kill(-(child.pid as number), 'SIGKILL'), killAfter);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status, signal) => {
      clearTimeout(timer);
      if (status !== null && status !== 0) reject(new Error(`the training ended with ${status}: ${said}`));
      else resolve({ signal, seconds: (performance.now() - began) / 1000 });
    });
  });
}

function requireSame(base: string, undisturbed: string): void {
  const [path, expected] = [newest(base)?.path, newest(undisturbed)?.path];
  for (const file of ['model.safetensors', 'optimizer.safetensors']) {
    const [one, other] = [path, expected].map((folder) => readFileSync(join(folder ?? '', file)));
    if (!one?.equals(other as Buffer)) throw new Error(`${file} differs from the undisturbed training's`);
  }
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { kills: { type: 'string', default: '50' }, seed: { type: 'string', default: '2026' } },
  });
  const [kills, seed] = [Number(values.kills), Number(values.seed)];
  const undisturbed = await jobFolder();
  const { seconds } = await train(undisturbed);
  process.stdout.write(`undisturbed: ${newest(undisturbed)?.step} steps in ${seconds.toFixed(1)} s\n`);

  const random = randomSource(seed, 50);
  let base = await jobFolder();
  let [done, courses] = [0, 0];
  while (done < kills) {
    // from before TensorFlow is loaded to far into the steps; a course that ends in between is compared, and another begun
    const moment = 200 + random() * seconds * 1000;
    const { signal } = await train(base, moment);
    if (signal === 'SIGKILL') {
      done++;
      process.stdout.write(
        `kill ${done} after ${(moment / 1000).toFixed(2)} s: newest is step ${newest(base)?.step ?? 0}\n`,
      );
    } else {
      requireSame(base, undisturbed);
      courses++;
      base = await jobFolder();
    }
  }
  await train(base);
  requireSame(base, undisturbed);
  process.stdout.write(
    `✓ ${kills} kills in ${courses + 1} courses: each ended with the weights of the undisturbed one\n`,
  );
}

main().catch((error: Error) => {
  process.stderr.write(`✗ ${error.message}\n`);
  process.exitCode = 1;
});
