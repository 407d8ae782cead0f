// The volume of a request: a NIfTI file, a DICOM file, or a tar of such, gzip or not, told apart by their bytes; never by way of a disk.
import { posix } from 'node:path';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { Parser } from 'tar';
import { type DicomFile, parseDicomSeries } from '../data/volumes/dicom';
import { isDicomFile } from '../data/volumes/dicom-file';
import { isGzip, NIFTI_FILE, parseNifti, unpackHead, unpackingLimit, type VolumeLimits } from '../data/volumes/nifti';
import { joinImages, type ReadVolume } from '../data/volumes/read-subject';
import type { Sample } from '../data/volumes/volume';
import { Refusal } from './refusal';

const FORMS =
  'Send a NIfTI file, a DICOM file of one slice, or a tar of DICOM slices or of an image for each modality, each gzip or not';

/** Where a tar has its magic (POSIX ustar; GNU's begins alike). */
const TAR = { magic: 'ustar', offset: 257 };

/** Files of one tar. */
const MOST_FILES = 4096;

interface Image {
  readonly name: string;
  readonly volume: ReadVolume;
}

/** The files of a tar by their paths; folders, links and hidden files are passed over. @throws Error where it is damaged */
function filesOf(tar: Buffer): Promise<DicomFile[]> {
  return new Promise((resolve, reject) => {
    const files: DicomFile[] = [];
    const parser = new Parser({
      strict: true,
      onReadEntry(entry) {
        const isWanted = entry.type === 'File' && !posix.basename(entry.path).startsWith('.');
        if (isWanted && files.length === MOST_FILES) reject(new Error(`it has more than ${MOST_FILES} files`));
        if (!isWanted || files.length === MOST_FILES) return entry.resume();
        const parts: Buffer[] = [];
        entry.on('data', (part) => parts.push(part));
        entry.on('end', () => files.push({ name: posix.normalize(entry.path), bytes: Buffer.concat(parts) }));
      },
    });
    parser.on('error', reject);
    parser.on('end', () => resolve(files));
    parser.end(tar);
  });
}

/** The images among files: each NIfTI is one, and the DICOM slices of each folder. */
async function imagesOf(files: readonly DicomFile[], limits: VolumeLimits): Promise<Image[]> {
  const series = new Map<string, DicomFile[]>();
  const images: Image[] = [];
  for (const file of files) {
    const folder = posix.dirname(file.name);
    if (NIFTI_FILE.test(file.name)) {
      const volume = await parseNifti(file.bytes, limits).catch((error: Error) => {
        throw new Error(`${file.name}: ${error.message}`);
      });
      images.push({ name: posix.basename(file.name).replace(NIFTI_FILE, ''), volume });
    } else if (isDicomFile(file.bytes)) series.set(folder, [...(series.get(folder) ?? []), file]);
  }
  for (const [folder, slices] of series)
    images.push({ name: posix.basename(folder), volume: parseDicomSeries(slices, limits) });
  if (images.length === 0) throw new Error('the tar holds neither NIfTI nor DICOM files');
  return images;
}

/** Images in the order of the modalities, told by the ends of their names. */
function inOrder(images: readonly Image[], modalities: readonly string[]): readonly Image[] {
  if (images.length === 1) return images;
  const found = modalities.map((modality) =>
    images.filter(({ name }) => name === modality || name.endsWith(`_${modality}`) || name.endsWith(`-${modality}`)),
  );
  if (images.length === modalities.length && found.every(({ length }) => length === 1)) return found.flat();
  const names = images.map(({ name }) => name).join(', ');
  throw new Error(`it has the images ${names}; the model takes one for each of ${modalities.join(', ')}`);
}

async function read(bytes: Buffer, modalities: readonly string[], limits: VolumeLimits): Promise<readonly Image[]> {
  const head = unpackHead(bytes);
  if (head.toString('latin1', TAR.offset, TAR.offset + TAR.magic.length) === TAR.magic) {
    const maxOutputLength = unpackingLimit(bytes, limits);
    const tar = isGzip(bytes) ? await promisify(gunzip)(bytes, { maxOutputLength }) : bytes;
    return inOrder(await imagesOf(await filesOf(tar), limits), modalities);
  }
  const name = 'of the request';
  if (isDicomFile(bytes)) return [{ name, volume: parseDicomSeries([{ name: 'the file', bytes }], limits) }];
  return [{ name, volume: await parseNifti(bytes, limits) }];
}

/**
 * The volume of a body, its modalities as channels.
 *
 * @throws Refusal saying what is wrong: damaged, too large, without a number somewhere, or of other channels
 */
export async function readVolumeFile(
  bytes: Buffer,
  { modalities, channels }: { readonly modalities: readonly string[]; readonly channels: number },
  limits: VolumeLimits,
): Promise<Sample> {
  const images = await read(bytes, modalities, limits).catch((error: Error) => {
    throw new Refusal(`the volume cannot be read: ${error.message}. ${FORMS}.`);
  });
  const { sample, problems } = joinImages(images);
  if (sample === undefined || problems.length > 0)
    throw new Refusal(`the volume cannot be used: ${problems.join('; ')}.`);
  if (sample.channels !== channels)
    throw new Refusal(
      `the volume has ${sample.channels} channels; the model takes ${channels}: ${modalities.join(', ')}.`,
    );
  return sample;
}
