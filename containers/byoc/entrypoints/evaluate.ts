// The evaluation stage: a model and held-out images or volumes in, evaluation.json out, as SageMaker's model registry reads it; of volumes pictures too.
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { extract } from 'tar';
import { inBase, runEntryPoint } from '../../../training/container';
import { labelledImages } from '../../../training/data/image-folders';
import { picture } from '../../../training/data/inspection/picture';
import { DecodePool, Loader } from '../../../training/data/loader';
import { VolumePool, type WholeVolume } from '../../../training/data/volumes/loader';
import { subjectsToPredict } from '../../../training/data/volumes/subjects';
import {
  classifies,
  type OpenClassifier,
  type OpenModel,
  type SegmenterConfig,
} from '../../../training/engine/artifact';
import { evaluate } from '../../../training/engine/prediction/inference';
import { openForInference } from '../../../training/engine/prediction/predict';
import { inferenceLoader } from '../../../training/engine/prediction/predict-volumes';
import { modelQualityReport, segmentationReport } from '../../../training/engine/prediction/report';
import { evaluateVolumes } from '../../../training/engine/prediction/segmentation';

/** Threads that read images or volumes. */
const WORKERS = 2;

/** Opens the model: SageMaker hands a training job's on as model.tar.gz. */
async function openModel(folder: string) {
  const archive = join(folder, 'model.tar.gz');
  if (!existsSync(archive)) return openForInference(folder);
  const unpacked = await mkdtemp(join(tmpdir(), 'scanline-model-'));
  try {
    await extract({ file: archive, cwd: unpacked });
    return await openForInference(unpacked);
  } finally {
    await rm(unpacked, { recursive: true, force: true });
  }
}

interface Evaluated {
  /** What evaluation.json holds. */
  readonly report: unknown;
  /** The same in short, for the log. */
  readonly line: string;
}

async function evaluateImages({ config, inference }: OpenClassifier, data: string): Promise<Evaluated> {
  const pool = new DecodePool(WORKERS);
  const samples = labelledImages(data, config.classes);
  const loader = new Loader({ samples, size: config.image, batchSize: 32, pool, onBadFile: 'fail' });
  try {
    const metrics = await evaluate(inference, loader, config.classes);
    return { report: modelQualityReport(metrics), line: `accuracy=${metrics.accuracy}; images=${metrics.count};` };
  } finally {
    await pool.close();
  }
}

/** Volumes that are drawn: enough to see what goes wrong, few enough to be looked at. */
const PICTURES = 6;

/** Draws a volume with its labels and what the model says of it. */
async function draw(folder: string, volume: WholeVolume, predicted: Uint8Array, config: SegmenterConfig) {
  const { images: image, labels, shape, affine, subject } = volume;
  const sample = { image, shape, affine, channels: config.window.channels };
  const png = await picture(
    { ...sample, ...(labels && { label: Uint8Array.from(labels) }) },
    {
      title: subject.id,
      modalities: config.modalities,
      classes: config.classes.map((name, value) => ({ name, value })),
      predicted,
    },
  );
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, `${subject.id}.png`), png);
}

async function evaluateSubjects(
  { config, inference }: OpenModel<SegmenterConfig>,
  data: string,
  output: string,
): Promise<Evaluated> {
  const pool = new VolumePool(WORKERS);
  const subjects = subjectsToPredict(data, config.modalities.join() === 'image' ? undefined : config.modalities);
  const loader = inferenceLoader(config, { subjects, pool, onBadFile: 'fail' });
  try {
    const scores = await evaluateVolumes(inference, loader.volumes(), config, {
      surfaces: true,
      onVolume: async (volume, predicted) => {
        if (volume.index < PICTURES) await draw(join(output, 'pictures'), volume, predicted, config);
      },
    });
    return {
      report: segmentationReport(scores),
      line: `dice=${scores.dice}; iou=${scores.iou}; volumes=${scores.count};`,
    };
  } finally {
    await pool.close();
  }
}

runEntryPoint(async (args) => {
  const { values } = parseArgs({
    args: [...args],
    options: {
      model: { type: 'string', default: '/opt/ml/processing/input/model' },
      data: { type: 'string', default: '/opt/ml/processing/input/test' },
      output: { type: 'string', default: '/opt/ml/processing/output/evaluation' },
    },
  });
  const output = inBase(values.output);
  const model = await openModel(inBase(values.model));
  const { report, line } = classifies(model)
    ? await evaluateImages(model, inBase(values.data))
    : await evaluateSubjects(model as OpenModel<SegmenterConfig>, inBase(values.data), output);
  model.close();
  await mkdir(output, { recursive: true });
  await writeFile(join(output, 'evaluation.json'), `${JSON.stringify(report, null, 2)}\n`);
  process.stdout.write(`${line}\n`);
});
