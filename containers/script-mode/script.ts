// What a job of script mode brings, and what it is told: a program, its hyperparameters, the SM_* environment of AWS's training toolkit.
// https://github.com/aws/sagemaker-training-toolkit/blob/master/ENVIRONMENT_VARIABLES.md
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { baseFolder, inBase } from '../../training/container';
import { UserError } from '../../training/errors';
import { packageRoot } from '../../training/native/cache';
import { isInS3 } from './package-in-s3';

/** The program of a job. */
export interface Script {
  /** Its file in the package, e.g. train.ts. */
  readonly program: string;
  /** Where sourcedir.tar.gz lies: a path, or a place in S3. */
  readonly archive: string;
  /** The job's region, where it is told. */
  readonly region?: string;
  /** What it takes, by name; what is meant for the container is left out. */
  readonly hyperparameters: Readonly<Record<string, unknown>>;
}

/** The NVIDIA driver's list of its devices. */
const GPUS = '/proc/driver/nvidia/gpus';

function readJson(path: string): Record<string, unknown> {
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : {};
}

/** Hyperparameters are JSON where they are valid JSON, and else themselves. */
function decode(text: unknown): unknown {
  try {
    return JSON.parse(String(text));
  } catch {
    return text;
  }
}

/**
 * The program that the job brings.
 *
 * @throws UserError when it brings none, or none that this image can run
 */
export function scriptOf(): Script {
  const file = join(baseFolder(), 'input', 'config', 'hyperparameters.json');
  const given = Object.entries(readJson(file)).map(([name, text]) => [name, decode(text)] as const);
  const {
    sagemaker_program: program,
    sagemaker_submit_directory: source,
    sagemaker_region: region,
  } = Object.fromEntries(given);
  if (program === undefined) {
    throw new UserError(
      'the job brings no program: sagemaker_program is not among its hyperparameters.',
      'use ScriptModeTraining, which sets it; or the image scanline/byoc, which trains by hyperparameters alone.',
    );
  }
  if (typeof program !== 'string' || !/\.[cm]?[jt]s$/.test(program)) {
    throw new UserError(
      `sagemaker_program is ${JSON.stringify(program)}; this image runs TypeScript and JavaScript: .ts, .mts, .cts, .js, .mjs and .cjs.`,
      "run Python on AWS's framework images: set framework of ScriptModeTraining.",
    );
  }
  const archive = inBase(String(source));
  if (!isInS3(archive) && !existsSync(archive)) {
    throw new UserError(
      `sagemaker_submit_directory is ${JSON.stringify(source)}, which is no file here.`,
      'let the package come by an input channel, as ScriptModeTraining does (/opt/ml/input/data/code/sourcedir.tar.gz), or name it in S3.',
    );
  }
  return {
    program,
    archive,
    ...(typeof region === 'string' && { region }),
    hyperparameters: Object.fromEntries(given.filter(([name]) => !name.startsWith('sagemaker_'))),
  };
}

const asText = (value: unknown) => (typeof value === 'string' ? value : JSON.stringify(value));

/** The hyperparameters as options: --name value. */
export function argumentsOf({ hyperparameters }: Script): string[] {
  return Object.keys(hyperparameters)
    .sort()
    .flatMap((name) => [`--${name}`, asText(hyperparameters[name])]);
}

/** What the toolkit tells a program by its environment, beside what this process has. */
export function environmentOf(script: Script): Record<string, string> {
  const base = baseFolder();
  const config = join(base, 'input', 'config');
  const data = join(base, 'input', 'data');
  const { current_host = 'algo-1', hosts = [current_host] } = readJson(join(config, 'resourceconfig.json'));
  const channels = existsSync(data) ? readdirSync(data).sort() : [];
  const named = (prefix: string, entries: readonly (readonly [string, string])[]) =>
    entries.map(([name, value]) => [`${prefix}${name.replaceAll('-', '_').toUpperCase()}`, value] as const);
  const hyperparameters = Object.entries(script.hyperparameters);
  return {
    SM_MODULE_DIR: script.archive,
    SM_USER_ENTRY_POINT: script.program,
    SM_USER_ARGS: JSON.stringify(argumentsOf(script)),
    SM_HPS: JSON.stringify(script.hyperparameters),
    SM_HOSTS: JSON.stringify(hosts),
    SM_CURRENT_HOST: String(current_host),
    SM_CHANNELS: JSON.stringify(channels),
    SM_INPUT_DIR: join(base, 'input'),
    SM_INPUT_CONFIG_DIR: config,
    SM_MODEL_DIR: join(base, 'model'),
    SM_OUTPUT_DIR: join(base, 'output'),
    SM_OUTPUT_DATA_DIR: join(base, 'output', 'data'),
    SM_NUM_CPUS: String(availableParallelism()),
    SM_NUM_GPUS: String(existsSync(GPUS) ? readdirSync(GPUS).length : 0),
    ...Object.fromEntries(
      named(
        'SM_CHANNEL_',
        channels.map((name) => [name, join(data, name)]),
      ),
    ),
    ...Object.fromEntries(
      named(
        'SM_HP_',
        hyperparameters.map(([name, value]) => [name, asText(value)]),
      ),
    ),
    // packages that the program leaves to the image
    NODE_PATH: join(packageRoot, 'node_modules'),
    NODE_OPTIONS: `${process.env.NODE_OPTIONS ?? ''} --enable-source-maps`.trim(),
  };
}
