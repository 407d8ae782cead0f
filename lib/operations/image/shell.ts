// A look into an image, as a job of SageMaker would find itself in it.
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ContainerTool, runTool } from '../../local/jobs/container-tool';

/** Where the image has its bill of materials (containers/byoc/sbom.ts). */
const BILL = '/opt/scanline/sbom.cdx.json';

export interface ShellOptions {
  readonly tool: ContainerTool;
  readonly image: string;
  /** What is run. @default a shell */
  readonly command: readonly string[];
  /** Becomes /opt/ml, and is kept. @default a new folder, deleted afterwards */
  readonly folder?: string | undefined;
  /** Folders that become channels, read-only, by their names. @default none */
  readonly channels: Readonly<Record<string, string>>;
  readonly hyperparameters: Readonly<Record<string, string>>;
}

/** Makes a folder what a training job finds as /opt/ml, without its data. What is there already stays. */
export function mockOptMl(
  folder: string,
  { channels, hyperparameters }: Pick<ShellOptions, 'channels' | 'hyperparameters'>,
): void {
  const folders = ['input/config', 'input/data', 'model', 'output/data', 'checkpoints', 'code'];
  for (const name of folders) mkdirSync(join(folder, name), { recursive: true });
  for (const name of Object.keys(channels)) mkdirSync(join(folder, 'input', 'data', name), { recursive: true });
  const config = {
    hyperparameters,
    inputdataconfig: Object.fromEntries(
      Object.keys(channels).map((name) => [
        name,
        { TrainingInputMode: 'File', S3DistributionType: 'FullyReplicated', RecordWrapperType: 'None' },
      ]),
    ),
    resourceconfig: {
      current_host: 'algo-1',
      current_instance_type: 'local',
      current_group_name: 'homogeneousCluster',
      hosts: ['algo-1'],
      instance_groups: [{ instance_group_name: 'homogeneousCluster', instance_type: 'local', hosts: ['algo-1'] }],
      network_interface_name: 'eth0',
    },
  };
  for (const [name, content] of Object.entries(config))
    writeFileSync(join(folder, 'input', 'config', `${name}.json`), JSON.stringify(content, null, 2), { flag: 'w' });
}

/** @returns the exit status of what was run */
export async function openShell(options: ShellOptions): Promise<number> {
  const { tool, image, command, folder: kept, channels } = options;
  const folder = kept ?? mkdtempSync(join(tmpdir(), 'scanline-opt-ml-'));
  try {
    mockOptMl(folder, options);
    const isTerminal = process.stdin.isTTY && process.stdout.isTTY;
    const volumes = [
      `${folder}:/opt/ml`,
      ...Object.entries(channels).map(([name, source]) => `${source}:/opt/ml/input/data/${name}:ro`),
    ];
    const args = [
      ...['run', '--rm', '--interactive', ...(isTerminal ? ['--tty'] : []), '--network', 'none'],
      ...volumes.flatMap((volume) => ['--volume', volume]),
      ...['--env', 'TRAINING_JOB_NAME=shell', '--entrypoint', command[0] ?? 'sh', image, ...command.slice(1)],
    ];
    const child = spawn(tool, args, { stdio: 'inherit' });
    return await new Promise((resolve, reject) => {
      child.on('error', reject);
      child.on('exit', (code, signal) => resolve(code ?? 128 + constants.signals[signal ?? 'SIGKILL']));
    });
  } finally {
    if (kept === undefined) rmSync(folder, { recursive: true, force: true });
  }
}

/** The software bill of materials of an image of Scanline's, as CycloneDX. @throws Error where the image has none */
export function billOfMaterials(tool: ContainerTool, image: string): Promise<string> {
  return runTool(tool, ['run', '--rm', '--network', 'none', '--entrypoint', 'cat', image, BILL]);
}
