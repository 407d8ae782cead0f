// Jobs of script mode as their container finds them: made by the stage, or from a package that was made by hand.
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { App, Stack } from 'aws-cdk-lib';
import { Role } from 'aws-cdk-lib/aws-iam';
import { create } from 'tar';
import { ScriptModeTraining, type ScriptModeTrainingProps } from '../../lib';
import { ROLE } from '../lib/pipeline/whole-steps';
import { temporaryFolder } from '../training/temporary-folder';

/** The stage's step and package for a source folder. */
export function stage(
  files: Readonly<Record<string, string>>,
  hyperparameters: ScriptModeTrainingProps['hyperparameters'] = { num_epochs: 3, model_name: 'densenet121' },
) {
  const sourceDir = temporaryFolder();
  for (const [name, content] of Object.entries(files)) writeFileSync(join(sourceDir, name), content);
  const app = new App({ outdir: temporaryFolder() });
  const stack = new Stack(app, 'Test', { env: { account: '111122223333', region: 'eu-central-1' } });
  const training = new ScriptModeTraining(stack, 'Train', {
    entryPoint: 'train.ts',
    sourceDir,
    hyperparameters,
    channels: { train: 's3://b/train' },
    output: 's3://b/out',
    role: Role.fromRoleArn(stack, 'Role', ROLE, { mutable: false }),
  });
  const { Arguments } = stack.resolve(JSON.parse(JSON.stringify(training.step.toDefinition())));
  return { job: Arguments, training, archive: resolve(app.outdir, training.source.assetPath) };
}

/** The folder that is /opt/ml, as SageMaker fills it for the job. */
export function baseOf({ job, archive }: ReturnType<typeof stage>): string {
  const base = temporaryFolder();
  const put = (name: string, content: unknown) => {
    mkdirSync(dirname(join(base, name)), { recursive: true });
    writeFileSync(join(base, name), JSON.stringify(content));
  };
  put('input/config/hyperparameters.json', job.HyperParameters);
  put('input/config/resourceconfig.json', { current_host: 'algo-2', hosts: ['algo-1', 'algo-2'] });
  put('input/data/train/images.json', []);
  const source = JSON.parse(job.HyperParameters.sagemaker_submit_directory) as string;
  const place = join(base, source.slice('/opt/ml/'.length));
  mkdirSync(dirname(place), { recursive: true });
  cpSync(archive, place);
  return base;
}

/** /opt/ml for a package of plain files, as other tools pack it. */
export async function baseWithPackage(program: string, files: Readonly<Record<string, string>>): Promise<string> {
  const base = temporaryFolder();
  const source = temporaryFolder();
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(source, name)), { recursive: true });
    writeFileSync(join(source, name), content);
  }
  const place = 'input/data/code/sourcedir.tar.gz';
  for (const folder of ['input/config', dirname(place)]) mkdirSync(join(base, folder), { recursive: true });
  await create({ gzip: true, cwd: source, file: join(base, place) }, Object.keys(files));
  const hyperparameters = { sagemaker_program: program, sagemaker_submit_directory: `/opt/ml/${place}` };
  writeFileSync(join(base, 'input/config/hyperparameters.json'), JSON.stringify(hyperparameters));
  return base;
}
