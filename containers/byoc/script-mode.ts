// Script mode: a job brings a program of its own, which is unpacked and run with the SM_* environment of AWS's training toolkit.
// https://github.com/aws/sagemaker-training-toolkit/blob/master/ENVIRONMENT_VARIABLES.md
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { extract } from 'tar';
import { baseFolder, inBase } from '../../training/container';
import { UserError } from '../../training/errors';
import { packageRoot } from '../../training/native/cache';

/** The program of a job. */
export interface Script {
  /** Its file in the package, e.g. train.js. */
  readonly program: string;
  /** Where sourcedir.tar.gz lies. */
  readonly archive: string;
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
 * The program that the job brings; undefined where it brings none.
 *
 * @throws UserError when this image cannot run it
 */
export function scriptOf(): Script | undefined {
  const file = join(baseFolder(), 'input', 'config', 'hyperparameters.json');
  const given = Object.entries(readJson(file)).map(([name, text]) => [name, decode(text)] as const);
  const { sagemaker_program: program, sagemaker_submit_directory: source } = Object.fromEntries(given);
  if (program === undefined) return undefined;
  if (typeof program !== 'string' || !/\.[cm]?js$/.test(program)) {
    throw new UserError(
      `sagemaker_program is ${JSON.stringify(program)}; this image runs JavaScript: .js, .cjs and .mjs.`,
      "run Python on AWS's framework images: set framework of ScriptModeTraining.",
    );
  }
  const archive = inBase(String(source));
  if (!existsSync(archive)) {
    throw new UserError(
      `sagemaker_submit_directory is ${JSON.stringify(source)}, which is no file here; this image does not fetch from S3.`,
      'let the package come by an input channel, as ScriptModeTraining does: /opt/ml/input/data/code/sourcedir.tar.gz.',
    );
  }
  return {
    program,
    archive,
    hyperparameters: Object.fromEntries(given.filter(([name]) => !name.startsWith('sagemaker_'))),
  };
}

const asText = (value: unknown) => (typeof value === 'string' ? value : JSON.stringify(value));

/** The hyperparameters as options: --name value. */
function argumentsOf({ hyperparameters }: Script): string[] {
  return Object.keys(hyperparameters)
    .sort()
    .flatMap((name) => [`--${name}`, asText(hyperparameters[name])]);
}

/** What the toolkit tells a program by its environment, beside what this process has. */
function environmentOf(script: Script): Record<string, string> {
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
    // what the bundle leaves to the image
    NODE_PATH: join(packageRoot, 'node_modules'),
    NODE_OPTIONS: `${process.env.NODE_OPTIONS ?? ''} --enable-source-maps`.trim(),
  };
}

/** Unpacks the program beside a link by which `scanline-sagemaker/training` is found. @returns the folder */
function unpack({ archive }: Script): string {
  const code = join(baseFolder(), 'code');
  mkdirSync(join(code, 'node_modules'), { recursive: true });
  extract({ file: archive, cwd: code, sync: true });
  const link = join(code, 'node_modules', 'scanline-sagemaker');
  // a job that goes on after an interruption may find the folder as it left it
  if (!existsSync(link)) symlinkSync(packageRoot, link);
  return code;
}

/**
 * Runs the program to its end; SIGTERM is passed on to it.
 *
 * @throws UserError when it fails
 */
export async function runScript(script: Script): Promise<void> {
  const code = unpack(script);
  for (const folder of ['model', 'output/data']) mkdirSync(join(baseFolder(), folder), { recursive: true });
  const child = spawn(process.execPath, [script.program, ...argumentsOf(script)], {
    cwd: code,
    env: { ...process.env, ...environmentOf(script) },
    stdio: ['ignore', 'inherit', 'pipe'],
  });
  let stopped = false;
  process.once('SIGTERM', () => {
    stopped = true;
    child.kill('SIGTERM');
  });
  let last = '';
  child.stderr.on('data', (chunk: Buffer) => {
    process.stderr.write(chunk);
    last = (last + chunk.toString()).slice(-800);
  });
  const [status, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (...end) => resolve(end));
  });
  if (status === 0 || (stopped && signal === 'SIGTERM')) return;
  throw new UserError(
    `${script.program} ended with ${signal ?? `status ${status}`}${last.trim() ? `:\n${last.trim()}` : '.'}`,
    'see what it wrote to its log before; `scanline run` runs the same job on your machine.',
  );
}
