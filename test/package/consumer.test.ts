// What npm gives to others: the packed package, installed into a CDK app of its own, type-checked, synthesised, and its command run.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { packageRoot } from '../../training/native/cache';
import { temporaryFolder } from '../training/temporary-folder';

const APP = `
import { App, Stack } from 'aws-cdk-lib';
import { Bucket } from 'aws-cdk-lib/aws-s3';
import { Dataset, TrainingStack } from 'scanline-sagemaker';
import { startLocalSageMaker } from 'scanline-sagemaker/local';
import { check } from 'scanline-sagemaker/pipeline';

const app = new App({ outdir: 'cdk.out' });
new TrainingStack(app, 'Chest', { pipelineName: 'chest-xray', hyperparameters: { num_epochs: 3 } });
const own = new Stack(app, 'Own');
new Dataset(own, 'Images', { bucket: new Bucket(own, 'Bucket') });
export const findings: number = check({ Steps: [] }).length;
export const start: typeof startLocalSageMaker = startLocalSageMaker;
app.synth();
`;

/** As strict as an app can be: the package's own declarations are checked too. */
const TSCONFIG = {
  compilerOptions: { target: 'es2022', module: 'node20', strict: true, skipLibCheck: false, types: ['node'] },
  files: ['app.ts'],
};

let folder = '';

function run(command: string, ...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd: folder, encoding: 'utf8' });
  assert.equal(status, 0, `${command} ${args.join(' ')}\n${stdout}\n${stderr}`);
  return stdout;
}

before(() => {
  folder = temporaryFolder();
  run('npm', 'pack', '--silent', '--ignore-scripts', '--pack-destination', folder, packageRoot);
  const [tarball] = readdirSync(folder) as [string];
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'consumer', version: '1.0.0', private: true }));
  writeFileSync(join(folder, 'app.ts'), APP);
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(TSCONFIG));
  // the peers are this checkout's; all else comes as npm finds it for anybody
  const peers = ['aws-cdk-lib', 'constructs'].map((name) => join(packageRoot, 'node_modules', name));
  run(
    'npm',
    'install',
    '--prefer-offline',
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
    join(folder, tarball),
    ...peers,
  );
  mkdirSync(join(folder, 'node_modules', '@types'), { recursive: true });
  symlinkSync(join(packageRoot, 'node_modules', '@types', 'node'), join(folder, 'node_modules', '@types', 'node'));
});

test('an app that imports the constructs compiles, declarations of the package included, and synthesises', () => {
  run(join(packageRoot, 'node_modules', '.bin', 'tsc'));
  run(process.execPath, 'app.js');
  const templates = readdirSync(join(folder, 'cdk.out')).filter((name) => name.endsWith('.template.json'));
  assert.deepEqual(templates.sort(), ['Chest.template.json', 'Own.template.json']);
});

test('the image of the stack is built from the sources that the package carries', () => {
  const [asset] = readdirSync(join(folder, 'cdk.out')).filter((name) => name.startsWith('asset.')) as [string];
  const context = readdirSync(join(folder, 'cdk.out', asset), { recursive: true, encoding: 'utf8' });
  for (const file of ['containers/byoc/Dockerfile', 'training/engine/fit.ts', 'tsconfig.json'])
    assert.ok(context.includes(file), `${file} is not in the build context`);
});

test('the pipeline language alone loads neither CDK nor TensorFlow', () => {
  const loaded = run(
    process.execPath,
    '-e',
    "require('scanline-sagemaker/pipeline'); console.log(Object.keys(require.cache).join('\\n'))",
  );
  assert.match(loaded, /client-sagemaker/);
  assert.doesNotMatch(loaded, /aws-cdk-lib|constructs|tfjs/);
});

test('the installed command checks a definition', () => {
  writeFileSync(join(folder, 'definition.json'), JSON.stringify({ Version: '2020-12-01', Steps: [] }));
  assert.match(run(join('node_modules', '.bin', 'scanline'), 'check', 'definition.json'), /errors: 0, warnings: 0/);
});
