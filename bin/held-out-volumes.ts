// What an endpoint says of held-out volumes, beside their labels: millilitres, Dice, and pictures of both masks.
import { readFileSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import type { SageMakerRuntimeClient } from '@aws-sdk/client-sagemaker-runtime';
import { create } from 'tar';
import { type Invocation, invokeEndpoint } from '../lib/operations/endpoint';
import { spread } from '../lib/operations/held-out';
import type { SampleVolume } from '../lib/operations/report-results';
import { picture } from '../training/data/inspection/picture';
import { NIFTI_FILE, parseNifti } from '../training/data/volumes/nifti';
import { readSubject } from '../training/data/volumes/read-subject';
import { type Subject, subjectsToPredict } from '../training/data/volumes/subjects';
import { type Labels, type Sample, spacingOf } from '../training/data/volumes/volume';

/** Volumes that the endpoint is asked about. */
const SAMPLES = 6;

/** Bytes that a real-time endpoint passes on: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html */
const MOST_BYTES = 25 * 2 ** 20;

/** A NIfTI file as it is; else a tar of the images of all modalities, or of the slices of a series. */
function request({ images }: Subject): Omit<Invocation, 'accept'> {
  const [first = ''] = images;
  if (images.length === 1 && NIFTI_FILE.test(first)) {
    const contentType = first.endsWith('.gz') ? 'application/gzip' : 'application/x-nifti';
    return { body: readFileSync(first), contentType };
  }
  const names = images.map((path) => basename(path));
  const body = create({ cwd: dirname(first), gzip: true, portable: true, sync: true }, names).read() as Buffer;
  return { body, contentType: 'application/gzip' };
}

/** What stands for each class in masks. */
type LabelTable = Readonly<Record<string, number>>;

function compare(sample: Sample, predicted: Labels, labels: LabelTable): SampleVolume['classes'] {
  const actual = sample.label as Labels;
  const millilitres = spacingOf(sample.affine).reduce((product, length) => product * length, 1e-3);
  return Object.entries(labels)
    .filter(([, value]) => value !== 0)
    .map(([name, value]) => {
      let [there, said, both] = [0, 0, 0];
      for (const [n, label] of actual.entries()) {
        if (label === value) there++;
        if (predicted[n] === value) said++;
        if (label === value && predicted[n] === value) both++;
      }
      const volumes = { labelled: there * millilitres, predicted: said * millilitres };
      return { name, ...volumes, ...(there > 0 && { dice: (2 * both) / (there + said) }) };
    });
}

/**
 * Asks an endpoint about volumes from all over a folder of subjects. What it cannot be asked, or refuses, is told with the volume.
 *
 * @throws UserError where there are no subjects
 */
export async function predictHeldOutVolumes(
  client: SageMakerRuntimeClient,
  endpoint: string,
  folder: string,
): Promise<SampleVolume[]> {
  let labels: LabelTable | undefined;
  const ask = async (subject: Subject): Promise<SampleVolume> => {
    const sent = request(subject);
    if (sent.body.length > MOST_BYTES)
      throw new Error(`${(sent.body.length / 2 ** 20).toFixed(0)} MiB; a real-time endpoint passes on 25 at most`);
    const invoke = (accept: string) => invokeEndpoint(client, endpoint, { ...sent, accept });
    labels ??= (JSON.parse((await invoke('application/json')).toString('utf8')) as { labels: LabelTable }).labels;
    const { data } = await parseNifti(await invoke('application/gzip'));
    const sample = await readSubject(subject);
    const predicted = Int16Array.from(data);
    const png = await picture(sample, {
      ...{ title: subject.id, modalities: subject.images.map((path) => basename(path).replace(NIFTI_FILE, '')) },
      ...{ classes: Object.entries(labels).map(([name, value]) => ({ name, value })), predicted },
    });
    return { name: subject.id, classes: compare(sample, predicted, labels), png };
  };
  const samples: SampleVolume[] = [];
  for (const subject of spread(subjectsToPredict(folder), SAMPLES))
    samples.push(
      await ask(subject).catch((error: Error) => ({
        ...{ name: subject.id, classes: [], problem: `not answered: ${error.message}` },
      })),
    );
  return samples;
}
