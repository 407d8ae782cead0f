// Small grey images of two classes that a tiny network can tell apart: stripes across, and stripes along.
import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import sharp from 'sharp';
import { randomSource } from '../../training/data/random';

export const CLASSES = ['across', 'along'] as const;

/** Height and width, pixels. */
export const SIDE = 32;

/** Writes a grey PNG of 8 bits, [height, width] row by row. */
export async function writeGrey(path: string, values: Uint8Array, width: number): Promise<void> {
  mkdirSync(dirname(path), { recursive: true });
  const raw = { width, height: values.length / width, channels: 1 } as const;
  await sharp(values, { raw }).toColourspace('b-w').png().toFile(path);
}

/** Stripes and noise; no two numbers give the same image. */
export function stripes(kind: (typeof CLASSES)[number], number: number): Uint8Array {
  const random = randomSource(number, kind.length);
  const values = Array.from({ length: SIDE * SIDE }, (_, i) => {
    const place = kind === 'across' ? Math.floor(i / SIDE) : i % SIDE;
    return Math.floor(place / 4) % 2 === 0 ? 60 + 100 * random() : 100 + 100 * random();
  });
  return Uint8Array.from(values);
}

/** Writes `{folder}/{part}/{class}/{number}.png`, as many of each class as asked. */
export async function writeDataset(folder: string, counts: Readonly<Record<string, number>>): Promise<void> {
  let number = 0;
  for (const [part, count] of Object.entries(counts)) {
    for (const kind of CLASSES) {
      for (let i = 0; i < count; i++)
        await writeGrey(join(folder, part, kind, `${i}.png`), stripes(kind, number++), SIDE);
    }
  }
}
