// Volumes as a viewer in a page takes them: compressed NIfTI of as few bits as the eye needs.
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { encodeNifti } from '../volumes/nifti';
import { readVolume } from '../volumes/read-subject';
import { windowOf } from './picture';

const compress = promisify(gzip);

/**
 * The first channel of a volume in grey of 8 bits, black and white at the half percent of values that lie beyond.
 *
 * @param path a NIfTI file, or a folder of DICOM slices
 * @throws Error with the reason where it cannot be read
 */
export async function previewImage(path: string): Promise<Buffer> {
  const { data, channels, shape, affine } = await readVolume(path);
  const { low, high } = windowOf({ image: data, channels }, 0);
  const scale = 255 / (high - low || 1);
  const grey = new Uint8ClampedArray(data.length / channels);
  for (let n = 0; n < grey.length; n++) grey[n] = ((data[n * channels] as number) - low) * scale;
  return compress(await encodeNifti(new Uint8Array(grey.buffer), { shape, affine }));
}

/** The values of a label volume. @throws Error with the reason where it cannot be read */
export async function previewLabels(path: string): Promise<Buffer> {
  const { data, channels, shape, affine } = await readVolume(path);
  const values = Int16Array.from({ length: data.length / channels }, (_, n) =>
    Math.round(data[n * channels] as number),
  );
  return compress(await encodeNifti(values, { shape, affine }));
}
