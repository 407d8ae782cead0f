// The checkpoints in a folder, without TensorFlow: also for those who look after a training, and do not train.
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

const NAME = /^checkpoint_(\d+)_(\d+)$/;

/** The checkpoints in a folder, newest first. */
export function listCheckpoints(folder: string): { readonly path: string; readonly step: number }[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .flatMap((name) => {
      const match = NAME.exec(name);
      return match ? [{ path: join(folder, name), step: Number(match[2]) }] : [];
    })
    .sort((a, b) => b.step - a.step);
}
