// scanline contract test: runs a container, ours or another's, against SageMaker's training and serving contract.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { extname, join, resolve } from 'node:path';
import { Command, Option } from 'commander';
import type { ContractOptions, ImageDescription } from '../../lib/contract';
import { UserError } from '../../training/errors';
import { collectParameter } from './arguments';

interface Options {
  commands?: string;
  tool?: string;
  data?: string;
  hyperparameter: Record<string, string>;
  failing: Record<string, string>;
  model?: string;
  request?: string;
  contentType?: string;
  only?: 'training' | 'serving';
  keep?: string;
  json?: boolean;
}

/** By the ends of their names, what requests usually are. */
const CONTENT_TYPES: Readonly<Record<string, string>> = {
  ...{ '.json': 'application/json', '.csv': 'text/csv', '.png': 'image/png', '.jpg': 'image/jpeg' },
  ...{ '.jpeg': 'image/jpeg', '.dcm': 'application/dicom', '.nii': 'application/x-nifti' },
};

function requireThere(option: string, path: string | undefined): void {
  if (path === undefined || existsSync(path)) return;
  throw new UserError(`there is no ${path} (${option}).`, 'check the path.');
}

function requestOf({ request, contentType }: Options) {
  if (request === undefined) return undefined;
  const type = contentType ?? CONTENT_TYPES[extname(request).toLowerCase()];
  if (type !== undefined) return { bytes: readFileSync(request), contentType: type };
  throw new UserError(`what type ${request} is cannot be told from its name.`, 'say it with --content-type.');
}

function channelsOf(data: string | undefined): string | undefined {
  if (data === undefined) return undefined;
  const isFolder = statSync(data).isDirectory();
  if (isFolder && readdirSync(data, { withFileTypes: true }).some((entry) => entry.isDirectory())) return resolve(data);
  throw new UserError(
    `${data} holds no channels.`,
    'give a folder that has a folder for each, e.g. train/ and validation/.',
  );
}

/** Who runs the container, and what the image says of itself. */
async function runnerOf(
  image: string | undefined,
  { commands, tool: asked }: Options,
  folder: string,
): Promise<Pick<ContractOptions, 'executor' | 'image' | 'kind' | 'description'>> {
  if ((image === undefined) === (commands === undefined))
    throw new UserError('an image is needed, or --commands, and not both.', 'see scanline contract test --help.');
  if (commands !== undefined) {
    const { ProcessExecutor } = await import('../../lib/local/jobs/executor.js');
    const root = resolve(commands);
    if (!existsSync(join(root, 'bin')))
      throw new UserError(`${root} has no folder bin.`, 'give a folder whose bin/ has train, serve or both.');
    return { executor: new ProcessExecutor(new Map([[root, root]])), image: root, kind: 'process' };
  }
  const { findContainerTool } = await import('../../lib/local/jobs/container-tool.js');
  const { ContainerExecutor } = await import('../../lib/local/jobs/container-executor.js');
  const tool = findContainerTool('run', asked);
  const name = image as string;
  const { status, stdout } = spawnSync(tool, ['image', 'inspect', name], { encoding: 'utf8' });
  if (status !== 0) throw new UserError(`${tool} knows no image ${name}.`, `pull it first: ${tool} pull ${name}`);
  const [description] = JSON.parse(stdout) as [ImageDescription];
  return {
    executor: new ContainerExecutor({ tool, images: new Map() }, folder),
    image: name,
    kind: 'container',
    description,
  };
}

async function test(image: string | undefined, options: Options): Promise<void> {
  // the AWS SDK's advice on the version of Node.js is not about what is tested here
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true';
  const { data, model, request, keep, json, only, hyperparameter: hyperparameters, failing } = options;
  for (const [option, path] of Object.entries({ data, model, request })) requireThere(`--${option}`, path);
  const channels = channelsOf(data);
  const serving = { model, request: requestOf(options) };
  const { testContract, isBroken } = await import('../../lib/contract/index.js');
  const { describeFinding, summarise } = await import('../../lib/contract/report.js');
  const folder = keep === undefined ? mkdtempSync(join(tmpdir(), 'scanline-contract-')) : resolve(keep);
  const runner = await runnerOf(image, options, folder);
  const end = () => void runner.executor.close().then(() => process.exit(130));
  process.once('SIGINT', end).once('SIGTERM', end);
  try {
    const findings = await testContract({
      ...runner,
      folder,
      ...(only && { parts: [only] }),
      training:
        channels === undefined
          ? undefined
          : { channels, hyperparameters, ...(Object.keys(failing).length > 0 && { failing }) },
      serving,
      onFinding: (finding) => {
        if (!json) process.stdout.write(`${describeFinding(finding)}\n`);
      },
    });
    if (json) process.stdout.write(`${JSON.stringify({ image: runner.image, findings }, null, 2)}\n`);
    else process.stdout.write(`${summarise(findings)}\n`);
    if (findings.some(isBroken)) process.exitCode = 1;
  } finally {
    await runner.executor.close();
    if (keep === undefined) rmSync(folder, { recursive: true, force: true });
  }
}

function testCommand(): Command {
  return new Command('test')
    .description("run a container's train and serve as SageMaker does, and tell what they break of its contract")
    .argument('[image]', 'an image that the container tool has')
    .option('--commands <folder>', 'in place of an image: a folder whose bin/ has train and serve, run as processes')
    .addOption(
      new Option('--tool <name>', 'the container tool (default: the first that works)').choices(['docker', 'podman']),
    )
    .optionsGroup('What it gets:')
    .option(
      '--data <folder>',
      'holds a folder for each channel, e.g. train/ and validation/ (default: training is skipped)',
    )
    .option(
      '--hyperparameter <Name=value>',
      'may be given again; choose what trains for some seconds',
      collectParameter,
      {},
    )
    .option(
      '--failing <Name=value>',
      'a hyperparameter that makes training fail; may be given again (default: the channels are empty instead)',
      collectParameter,
      {},
    )
    .option('--model <path>', 'a model.tar.gz or a folder, for serve (default: what train left)')
    .option('--request <file>', 'a body that /invocations answers with 200 (default: what needs one is skipped)')
    .option('--content-type <type>', "that body's type (default: by its name)")
    .optionsGroup('Running:')
    .addOption(new Option('--only <part>', 'of the contract').choices(['training', 'serving']))
    .option('--keep <folder>', 'gets the folders and logs of all runs (default: they are gone afterwards)')
    .option('--json', 'print all findings as JSON, with the contract, its source and the fix of each')
    .addHelpText(
      'after',
      `
Exits with 1 where a point of the contract is broken; hints and what was skipped alone exit with 0.

Examples:
  scanline contract test scanline/byoc:cpu --data images --hyperparameter num_epochs=3 --request images/test/axial/1.png
  scanline contract test my/image:1 --only serving --model model.tar.gz --request request.json
  scanline contract test --commands containers/byoc --data images --request images/test/axial/1.png --json > contract.json
`,
    )
    .action(test);
}

export function contractCommand(): Command {
  return new Command('contract')
    .description('test containers against what SageMaker asks of them')
    .addCommand(testCommand());
}
