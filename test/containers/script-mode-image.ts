// The image of script mode in real containers: jobs whose packages the stage made, or somebody else, on a read-only root.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { writeDataset } from '../training/sample-images';
import { baseOf, baseWithPackage, stage } from './script-mode-jobs';
import { ask, containerEnd, SCRIPT_MODE_IMAGE, withoutImage } from './tools';

const settings = { skip: withoutImage(SCRIPT_MODE_IMAGE), timeout: 600_000 };

/** Trains with the library's own loop on the channels of the job, and looks at a network by its name. */
const PROGRAM = `
import { densenet, fit, parameterCount, readHyperparameters, type FitResult } from 'scanline-sagemaker/training';

async function main(): Promise<void> {
  const { SM_CHANNEL_TRAIN: train, SM_CHANNEL_VALIDATION: valid, SM_MODEL_DIR: modelDir, SM_OUTPUT_DATA_DIR } = process.env;
  console.log('parameters=' + parameterCount(densenet({ inChannels: 1, classes: 2 })));
  const result: FitResult = await fit({
    hyperparameters: readHyperparameters({ environment: process.env }),
    folders: { train, valid },
    modelDir: modelDir as string,
    outputDir: SM_OUTPUT_DATA_DIR as string,
  });
  console.log('best=' + result.best?.epoch);
}
main();
`;

const TINY = { num_epochs: 1, img_size: 32, batch_size: 4, init_features: 4, growth_rate: 2, bn_size: 1 };

/** Runs the image's train as SageMaker does, without a network and with nothing to write to but /opt/ml and /tmp. */
const train = (base: string) =>
  containerEnd(
    ...['--network', 'none', '--read-only', '--tmpfs', '/tmp', '--volume', `${base}:/opt/ml`],
    ...[SCRIPT_MODE_IMAGE, 'train'],
  );

test('a TypeScript program that the stage has packed trains with fit and leaves a model', settings, async () => {
  const base = baseOf(stage({ 'train.ts': PROGRAM }, { ...TINY, block_config: [1, 1] }));
  await writeDataset(join(base, 'input/data'), { train: 4, validation: 4 });
  const { status, output } = train(base);
  assert.equal(status, 0, output);
  assert.match(output, /parameters=6949634[\s\S]*best=1/);
  assert.ok(existsSync(join(base, 'model/densenet121/best_model_1/model.safetensors')));
  assert.ok(!existsSync(join(base, 'output/failure')));
});

test('a sourcedir.tar.gz of plain TypeScript is compiled in the container', settings, async () => {
  const base = await baseWithPackage('train.ts', {
    'train.ts':
      "import { word } from './word';\nimport { densenet } from 'scanline-sagemaker/training';\nconsole.log(word, typeof densenet);\n",
    'word.ts': "export const word: string = 'servus';\n",
  });
  const { status, output } = train(base);
  assert.equal(status, 0, output);
  assert.match(output, /servus function/);
});

test('a program that fails leaves its reason, and ends with 1', settings, async () => {
  const base = await baseWithPackage('train.ts', { 'train.ts': "throw new Error('no images');\n" });
  const { status, output } = train(base);
  assert.equal(status, 1, output);
  assert.match(readFileSync(join(base, 'output/failure'), 'utf8'), /train\.ts ended with status 1:[\s\S]*no images/);
});

test('it serves too, has esbuild in its bill of materials, and neither compiler nor npm', settings, () => {
  const inside = (script: string) => ask('run', '--rm', '--network', 'none', SCRIPT_MODE_IMAGE, 'sh', '-c', script);
  assert.match(inside('command -v train'), /script-mode\/bin\/train$/);
  for (const command of ['serve', 'split', 'evaluate']) assert.match(inside(`command -v ${command}`), /\/bin\//);
  assert.match(inside('cat sbom.cdx.json'), /pkg:npm\/esbuild@[\s\S]*pkg:pypi\/tensorflow/);
  assert.equal(inside('for tool in g++ gcc make python3 pip npm tsc; do ! command -v $tool || exit 1; done'), '');
});
