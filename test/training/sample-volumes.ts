// Small volumes that a tiny network can segment: a bright ball in noise, and its label.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { randomSource } from '../../training/data/random';
import { writeNifti } from '../../training/data/volumes/nifti';
import { type Affine, type Shape, voxels } from '../../training/data/volumes/volume';

export const BALL_SHAPE: Shape = [16, 14, 12];

const AFFINE: Affine = [1, 0, 0, -8, 0, 1, 0, -7, 0, 0, 1, -6, 0, 0, 0, 1];

/** Image [I, J, K] and label; no two numbers give the same. */
export function ball(number: number, shape: Shape = BALL_SHAPE): { image: Float32Array; label: Uint8Array } {
  const random = randomSource(number, 5);
  const middle = shape.map((length) => length * (0.35 + 0.3 * random()));
  const label = new Uint8Array(voxels(shape));
  const image = new Float32Array(voxels(shape));
  for (let n = 0; n < label.length; n++) {
    const place = [Math.floor(n / (shape[1] * shape[2])), Math.floor(n / shape[2]) % shape[1], n % shape[2]];
    const away = Math.hypot(...place.map((at, axis) => at - (middle[axis] as number)));
    label[n] = away < 3.5 ? 1 : 0;
    image[n] = Math.round(50 + 20 * random() + (label[n] ? 100 : 0));
  }
  return { image, label };
}

export interface WrittenSubject {
  /** @default img */
  readonly images?: readonly string[];
  readonly label?: Float32Array | Uint8Array | Int16Array | 'none';
  readonly shape?: Shape;
  readonly affine?: Affine;
}

/** Writes `{folder}/{img,label}.nii.gz`. */
export async function writeSubject(folder: string, number: number, options: WrittenSubject = {}): Promise<void> {
  const { images = ['img'], shape = BALL_SHAPE, affine = AFFINE } = options;
  mkdirSync(folder, { recursive: true });
  const { image, label } = ball(number, shape);
  for (const [n, name] of images.entries())
    await writeNifti(
      join(folder, `${name}.nii.gz`),
      image.map((value) => value + 1000 * n),
      { shape, affine },
    );
  if (options.label !== 'none')
    await writeNifti(join(folder, 'label.nii.gz'), options.label ?? label, { shape, affine });
}

/** Writes `{folder}/{part}/subject_00{n}/`, as many as asked. */
export async function writeVolumes(folder: string, counts: Readonly<Record<string, number>>): Promise<void> {
  let number = 0;
  for (const [part, count] of Object.entries(counts))
    for (let n = 0; n < count; n++) {
      number++;
      await writeSubject(join(folder, part, `subject_${String(number).padStart(3, '0')}`), number);
    }
}
