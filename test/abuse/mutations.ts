// Seeded mutations of valid files, sent to a server: every answer must be one, with a reason where it is a refusal.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { randomSource } from '../../training/data/random';
import { packageRoot } from '../../training/native/cache';
import type { InferenceServer } from '../../training/serving/server';
import { stripes } from '../training/sample-images';

/** A valid body. */
export interface Seed {
  readonly type: string;
  readonly bytes: Buffer;
}

/** Scans that pydicom and nibabel wrote (test/oracle/training/scan_fixtures.py). */
function scan(type: string, name: string): Seed {
  return { type, bytes: readFileSync(join(packageRoot, 'test', 'fixtures', 'scans', name)) };
}

const slices = () =>
  ['explicit', 'implicit', 'rle', 'jpeg2000'].map((syntax) => scan('application/dicom', `${syntax}.dcm`));

/** What a classifier of 32 x 32 grey pixels takes. */
export async function imageSeeds(): Promise<Seed[]> {
  const image = sharp(stripes('along', 1), { raw: { width: 32, height: 32, channels: 1 } });
  const photo = sharp({ create: { width: 40, height: 30, channels: 3, background: '#4080c0' } });
  return [
    { type: 'image/png', bytes: await image.clone().toColourspace('b-w').png().toBuffer() },
    { type: 'image/png', bytes: await image.clone().toColourspace('grey16').png().toBuffer() },
    { type: 'image/jpeg', bytes: await photo.clone().jpeg().toBuffer() },
    { type: 'image/jpeg', bytes: await photo.clone().jpeg({ progressive: true }).toBuffer() },
    { type: 'application/json', bytes: Buffer.from(JSON.stringify({ pixels: Array(32).fill(Array(32).fill(7)) })) },
    ...slices(),
  ];
}

/** What a segmenter of one modality takes. */
export function volumeSeeds(): Seed[] {
  const [packed, raw] = [scan('application/gzip', 'one.nii.gz'), scan('application/x-nifti', 'two.nii')];
  const encoded = Buffer.from(JSON.stringify({ image: packed.bytes.toString('base64') }));
  return [
    packed,
    raw,
    ...slices(),
    scan('application/x-tar', 'series.tar'),
    { type: 'application/json', bytes: encoded },
  ];
}

/** One of the usual ways in which files are damaged, one to four times. */
export function mutate(original: Buffer, random: () => number): Buffer {
  const whole = (below: number) => Math.floor(random() * below);
  let bytes = Buffer.from(original);
  for (let times = 1 + whole(4); times > 0; times--) {
    // every other time in the head, where a file says what it is
    const at = whole(random() < 0.5 ? Math.min(bytes.length, 512) : bytes.length);
    const length = 1 + whole(Math.min(64, bytes.length));
    const kind = whole(6);
    if (kind === 0) bytes[at] = (bytes[at] ?? 0) ^ (1 << whole(8));
    else if (kind === 1) bytes[at] = whole(256);
    else if (kind === 2) bytes = bytes.subarray(0, at);
    else if (kind === 3) bytes.fill(random() < 0.5 ? 0 : 255, at, Math.min(at + length, bytes.length));
    else if (kind === 4) bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + length)]);
    else bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at, at + length), bytes.subarray(at)]);
  }
  return bytes;
}

const REFUSED = new Set([400, 413]);

/**
 * Sends mutations, sixteen at a time.
 *
 * @param sent told of the number of each before it is sent
 * @returns how many were answered with each status
 * @throws Error for an answer that is neither a result nor a refusal with a reason
 */
export async function sendMutations(
  { url }: InferenceServer,
  seeds: readonly Seed[],
  count: number,
  sent: (number: number) => void = () => {},
): Promise<Map<number, number>> {
  const random = randomSource(2026, 11);
  const statuses = new Map<number, number>();
  let next = 0;
  const client = async () => {
    while (next < count) {
      const number = next++;
      sent(number);
      const { type, bytes } = seeds[number % seeds.length] as Seed;
      const body = new Uint8Array(mutate(bytes, random));
      const answer = await fetch(`${url}/invocations`, { method: 'POST', body, headers: { 'content-type': type } });
      const { message, label, volumes } = (await answer.json()) as Record<string, unknown>;
      const isTold = answer.ok ? (label ?? volumes) !== undefined : typeof message === 'string';
      if (!isTold || !(answer.ok || REFUSED.has(answer.status)))
        throw new Error(`mutation ${number} of ${type} was answered ${answer.status}: ${message}`);
      statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1);
    }
  };
  await Promise.all(Array.from({ length: 16 }, client));
  return statuses;
}
