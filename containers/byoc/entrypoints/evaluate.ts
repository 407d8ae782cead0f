// The evaluation stage: a model and held-out images in, evaluation.json out, as SageMaker's model registry reads it.
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { extract } from 'tar';
import { inBase, runEntryPoint } from '../../../training/container';
import { labelledImages } from '../../../training/data/image-folders';
import { DecodePool, Loader } from '../../../training/data/loader';
import { evaluate } from '../../../training/engine/inference';
import { openForInference } from '../../../training/engine/predict';
import { modelQualityReport } from '../../../training/engine/report';

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

runEntryPoint(async (args) => {
  const { values } = parseArgs({
    args: [...args],
    options: {
      model: { type: 'string', default: '/opt/ml/processing/input/model' },
      data: { type: 'string', default: '/opt/ml/processing/input/test' },
      output: { type: 'string', default: '/opt/ml/processing/output/evaluation' },
    },
  });
  const { config, inference, close } = await openModel(inBase(values.model));
  const pool = new DecodePool(2);
  const samples = labelledImages(inBase(values.data), config.classes);
  const loader = new Loader({ samples, size: config.image, batchSize: 32, pool, onBadFile: 'fail' });
  const metrics = await evaluate(inference, loader, config.classes);
  await pool.close();
  close();
  await mkdir(inBase(values.output), { recursive: true });
  await writeFile(
    join(inBase(values.output), 'evaluation.json'),
    `${JSON.stringify(modelQualityReport(metrics), null, 2)}\n`,
  );
  process.stdout.write(`accuracy=${metrics.accuracy}; images=${metrics.count};\n`);
});
