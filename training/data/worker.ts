// A thread that decodes and augments the images of a batch.
import { parentPort } from 'node:worker_threads';
import sharp from 'sharp';
import { type Augmentation, augment } from './augment';
import { decodeImage, type ImageSize } from './decode';

export interface BatchJob {
  readonly id: number;
  readonly size: ImageSize;
  readonly images: readonly { readonly path: string; readonly index: number }[];
  /** Decoded images, shared by all threads: image i, decoded once, from then on is its i-th slot. */
  readonly cache?: { readonly pixels: SharedArrayBuffer; readonly filled: SharedArrayBuffer };
  /** Given: images are changed, as these keys and their number decide. */
  readonly augmentation?: { readonly options: Augmentation; readonly keys: readonly number[] };
}

export interface BatchResult {
  readonly id: number;
  /** Raw pixel values of the images that could be read, one after the other. */
  readonly pixels: Float32Array<ArrayBuffer>;
  /** Which of the job's images they are. */
  readonly read: readonly number[];
  readonly bad: readonly { readonly path: string; readonly reason: string }[];
}

async function decodeCached(path: string, index: number, { size, cache }: BatchJob): Promise<ArrayLike<number>> {
  const length = size.height * size.width * size.channels;
  if (cache === undefined || (index + 1) * length * 2 > cache.pixels.byteLength) return decodeImage(path, size);
  const slot = new Uint16Array(cache.pixels, index * length * 2, length);
  const filled = new Int32Array(cache.filled, index * 4, 1);
  if (Atomics.load(filled, 0) === 0) {
    slot.set(await decodeImage(path, size));
    Atomics.store(filled, 0, 1);
  }
  return slot;
}

async function load(job: BatchJob): Promise<BatchResult> {
  const { size, images, augmentation } = job;
  const length = size.height * size.width * size.channels;
  const pixels = new Float32Array(images.length * length);
  const read: number[] = [];
  const bad: { path: string; reason: string }[] = [];
  for (const [position, { path, index }] of images.entries()) {
    try {
      const image = pixels.subarray(read.length * length, (read.length + 1) * length);
      image.set(await decodeCached(path, index, job));
      if (augmentation) image.set(augment(image, size, augmentation.options, ...augmentation.keys, index));
      read.push(position);
    } catch (error) {
      bad.push({ path, reason: (error as Error).message.trim() });
    }
  }
  return { id: job.id, pixels: bad.length === 0 ? pixels : pixels.slice(0, read.length * length), read, bad };
}

// the threads of the pool are what runs in parallel, not those of one image's decoder
sharp.concurrency(1);
sharp.cache(false);

parentPort?.on('message', async (job: BatchJob) => {
  const result = await load(job);
  parentPort?.postMessage(result, [result.pixels.buffer]);
});
