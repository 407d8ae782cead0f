// A subject's files as one sample, and everything that is wrong with them.
import { stat } from 'node:fs/promises';
import { basename } from 'node:path';
import type { LabelClass } from './dataset-json';
import { readDicomSeries } from './dicom';
import { readNifti } from './nifti';
import type { Subject } from './subjects';
import { axisCodes, type Grid, type Labels, type Sample, sameGrid, spacingOf, turned, turnTo, voxels } from './volume';

export interface ReadVolume extends Grid {
  readonly channels: number;
  readonly data: Float32Array;
}

/** What a subject's files hold. */
export interface Examination {
  /** Undefined where its images cannot be read or do not fit each other. */
  readonly sample?: Sample;
  /** What makes it unfit to train on. */
  readonly problems: readonly string[];
  /** What is only suspicious. */
  readonly doubts: readonly string[];
}

/** A NIfTI file, or a folder of DICOM slices. @throws Error with the reason */
export async function readVolume(path: string): Promise<ReadVolume> {
  return (await stat(path)).isDirectory() ? readDicomSeries(path) : readNifti(path);
}

/** Labels may be off a whole number by so much: they may have been scaled by their file. */
const WHOLE = 1e-3;

const describeGrid = ({ shape, affine }: Grid) => {
  const spacing = spacingOf(affine).map((length) => Number(length.toPrecision(4)));
  const origin = [3, 7, 11].map((n) => Number((affine[n] as number).toPrecision(4)));
  return `${shape.join(' x ')} voxels of ${spacing.join(' x ')} mm, ${axisCodes(affine)}, from (${origin.join(', ')}) mm`;
};

/** The images as channels of one. */
function combine(volumes: readonly ReadVolume[]): Sample {
  const [first] = volumes as [ReadVolume];
  const channels = volumes.reduce((sum, volume) => sum + volume.channels, 0);
  const { shape, affine } = first;
  if (volumes.length === 1) return { shape, affine, channels, image: first.data };
  const image = new Float32Array(voxels(shape) * channels);
  let start = 0;
  for (const volume of volumes) {
    for (let n = 0, to = start; n < volume.data.length; to += channels)
      for (let channel = 0; channel < volume.channels; channel++) image[to + channel] = volume.data[n++] as number;
    start += volume.channels;
  }
  return { shape, affine, channels, image };
}

/** Whole numbers of a label volume, or what is wrong with them. */
function toLabels(
  data: Float32Array,
  classes: readonly LabelClass[] | undefined,
): { label?: Labels; problems: string[] } {
  const counts = new Map<number, number>();
  const whole = new Int16Array(data.length);
  let [broken, example, largest] = [0, 0, 0];
  for (let n = 0; n < data.length; n++) {
    const value = data[n] as number;
    const rounded = Math.round(value);
    if (!(Math.abs(value - rounded) <= WHOLE) || rounded < 0 || rounded > 32767) {
      if (broken++ === 0) example = value;
      continue;
    }
    whole[n] = rounded;
    if (rounded > largest) largest = rounded;
    if (!counts.has(rounded)) counts.set(rounded, 0);
  }
  const problems: string[] = [];
  if (broken > 0)
    problems.push(
      `its label has ${broken} values that are no whole numbers from 0 to 32767, e.g. ${Number(example.toPrecision(6))}`,
    );
  const unknown = classes ? [...counts.keys()].filter((value) => !classes.some((known) => known.value === value)) : [];
  if (unknown.length > 0) {
    const known = classes?.map(({ name, value }) => `${value} ${name}`).join(', ');
    problems.push(
      `its label has the unknown ${unknown.length === 1 ? 'value' : 'values'} ${unknown.sort((a, b) => a - b).join(', ')} (known: ${known})`,
    );
  }
  return { ...(broken === 0 && { label: largest < 256 ? Uint8Array.from(whole) : whole }), problems };
}

/** The label on the image's grid: as it is, or turned where another program has stored it in another orientation. */
function onGrid(label: ReadVolume, image: Grid): Float32Array | undefined {
  if (sameGrid(label, image)) return label.data;
  const { data, ...rest } = label;
  const result = turned({ ...rest, image: data }, turnTo(axisCodes(image.affine), label.affine));
  return sameGrid(result, image) ? result.image : undefined;
}

const NOT_FINITE = (values: Float32Array) => {
  let count = 0;
  for (const value of values) if (!Number.isFinite(value)) count++;
  return count;
};

/** Images of one subject with the names to tell them by, as channels of one sample; and what is wrong with them. */
export function joinImages(images: readonly { readonly name: string; readonly volume: ReadVolume }[]): {
  sample?: Sample;
  problems: string[];
} {
  const problems: string[] = [];
  const first = images[0]?.volume;
  for (const { name, volume } of images) {
    const broken = NOT_FINITE(volume.data);
    if (broken > 0) problems.push(`its image ${name} has ${broken} values that are NaN or infinite`);
    if (first && !sameGrid(first, volume))
      problems.push(
        `its image ${name} does not lie where its first does: ${describeGrid(volume)}; ${describeGrid(first)}`,
      );
  }
  const fits = first !== undefined && images.every(({ volume }) => sameGrid(volume, first));
  return { ...(fits && { sample: combine(images.map(({ volume }) => volume)) }), problems };
}

async function attempt(path: string, what: string, problems: string[]): Promise<ReadVolume | undefined> {
  try {
    return await readVolume(path);
  } catch (error) {
    problems.push(`its ${what} ${basename(path)} cannot be read: ${(error as Error).message}`);
    return undefined;
  }
}

/** Reads a subject and tells everything that is wrong with its files. @param classes what its labels may be */
export async function examine(subject: Subject, classes?: readonly LabelClass[]): Promise<Examination> {
  const problems: string[] = [];
  const doubts: string[] = [];
  const images: { name: string; volume: ReadVolume }[] = [];
  for (const path of subject.images) {
    const volume = await attempt(path, 'image', problems);
    if (volume) images.push({ name: basename(path), volume });
  }
  const { sample, problems: defects } = joinImages(images);
  problems.push(...defects);
  const label = subject.label === undefined ? undefined : await attempt(subject.label, 'label', problems);
  if (label === undefined) return { ...(sample && { sample }), problems, doubts };
  if (label.channels > 1) problems.push(`its label has ${label.channels} channels`);
  const { label: whole, problems: wrong } = toLabels(label.data, classes);
  problems.push(...wrong);
  if (whole?.every((value) => value === 0)) doubts.push('its label is empty');
  if (sample === undefined || label.channels > 1) return { ...(sample && { sample }), problems, doubts };
  const data = onGrid(label, sample);
  if (data === undefined) {
    problems.push(`its label does not lie where its image does: ${describeGrid(label)}; ${describeGrid(sample)}`);
    return { sample, problems, doubts };
  }
  const turnedLabel = data === label.data ? whole : toLabels(data, classes).label;
  return { sample: { ...sample, ...(turnedLabel && { label: turnedLabel }) }, problems, doubts };
}

/** @throws Error with everything that makes the subject unfit */
export async function readSubject(subject: Subject, classes?: readonly LabelClass[]): Promise<Sample> {
  const { sample, problems } = await examine(subject, classes);
  if (sample === undefined || problems.length > 0) throw new Error(problems.join('; '));
  return sample;
}
