// scanline image: builds the container image, pushes it to Amazon ECR, and looks into it.
import { mkdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { Command, Option } from 'commander';
import { UserError } from '../../training/errors';
import { packageRoot } from '../../training/native/cache';
import { collectParameter } from './arguments';

const OWN_IMAGE = 'scanline/byoc:cpu';

function collect(text: string, previous: string[]): string[] {
  return [...previous, text];
}

function toolOption(tools: readonly string[]): Option {
  return new Option(
    '--tool <name>',
    'the container tool (default: SCANLINE_CONTAINER_TOOL, else the first that works)',
  ).choices(tools);
}

/** What is going on goes beside the result, which a script may read. */
function tell(line: string): void {
  process.stderr.write(`${line}\n`);
}

function hasStatus(status: number): void {
  process.exitCode = status;
}

interface BuildOptions {
  scriptMode?: boolean;
  tensorflow: 'cpu' | 'gpu';
  tag?: string;
  baseImage?: string;
  secret: string[];
  cache: boolean;
  tool?: string;
}

function buildCommand(): Command {
  return new Command('build')
    .description(
      "build one of Scanline's images, or that of a folder with a Dockerfile, with docker, buildah or podman",
    )
    .argument('[folder]', "a folder with a Dockerfile (default: Scanline's own image)")
    .option('--script-mode', "Scanline's image that runs the TypeScript or JavaScript programs that jobs bring")
    .addOption(
      new Option('--tensorflow <build>', 'gpu runs on CPU instances too, and is four times as large')
        .choices(['cpu', 'gpu'])
        .default('cpu'),
    )
    .option('--tag <name>', `what it is called (default: scanline/{byoc,script-mode}:{cpu,gpu})`)
    .option('--base-image <image>', 'what it stands on; one of ECR is logged in to (default: the Dockerfile says)')
    .option(
      '--secret <id=name,src=file>',
      "what the build may read and no layer keeps: npm's (npmrc) and pip's (pipconf) settings, certificates (ca); may be given again",
      collect,
      [],
    )
    .option('--no-cache', 'take no layer from an earlier build')
    .addOption(toolOption(['docker', 'buildah', 'podman']))
    .addHelpText(
      'after',
      `
Examples:
  scanline image build
  scanline image build --script-mode
  scanline image build --tensorflow gpu --secret id=npmrc,src=$HOME/.npmrc
  scanline image build --base-image 123456789012.dkr.ecr.eu-central-1.amazonaws.com/node:20-bookworm-slim
  scanline image build my-trainer --tag my-trainer:1
`,
    )
    .action(async (folder: string | undefined, options: BuildOptions) => {
      const { buildRecipe, folderRecipe, ownRecipe } = await import('../../lib/operations/image/recipe.js');
      const { findContainerTool } = await import('../../lib/local/jobs/container-tool.js');
      if (folder !== undefined && options.scriptMode)
        throw new UserError(`--script-mode builds Scanline's image, not that of ${folder}.`, 'leave out one of them.');
      const own = options.scriptMode ? 'script-mode' : 'byoc';
      const recipe =
        folder === undefined ? ownRecipe(packageRoot, own, options.tensorflow) : folderRecipe(resolve(folder));
      const tag = options.tag ?? recipe.tag;
      const tool = findContainerTool('build', options.tool);
      const started = Date.now();
      const { baseImage, secret: secrets, cache } = options;
      await buildRecipe({ ...recipe, tag }, { tool, baseImage, secrets, cache, onLine: tell });
      tell(`✓ built ${tag} with ${tool} in ${((Date.now() - started) / 1000).toFixed(0)} s`);
    });
}

interface PushOptions {
  region?: string;
  repository?: string;
  tag?: string;
  kmsKey?: string;
  registry?: string;
  tlsVerify: boolean;
  tool?: string;
}

function pushCommand(): Command {
  return new Command('push')
    .description(
      'push an image to Amazon ECR, into a repository that is made where there is none; prints its URI with the digest',
    )
    .argument('[image]', 'as this machine has it', OWN_IMAGE)
    .option('--region <name>', 'of the registry (default: AWS_REGION)')
    .option('--repository <name>', "its name (default: the image's)")
    .option('--tag <name>', "a new one, for tags cannot be moved (default: the beginning of the image's id)")
    .option('--kms-key <arn>', "encrypts a new repository (default: ECR's own key)")
    .option('--registry <host>', 'where the registry is, should it not be where ECR says (a proxy, a test)')
    .option('--no-tls-verify', 'take any certificate, or none (podman, buildah)')
    .addOption(toolOption(['docker', 'buildah', 'podman']))
    .addHelpText(
      'after',
      `
A new repository is scanned on push and encrypted, its tags cannot be moved, and images without a tag go after 14 days.
The constructs take what is printed: the stack TrainingStack as imageUri, others ByocImage.scanlineFromUri(this, 'Image',
'...@sha256:...'); ScriptModeTraining takes ByocImage.scriptModeFromUri.

Examples:
  scanline image push --region eu-central-1
  scanline image push scanline/script-mode:gpu --region eu-central-1
  scanline image push my-trainer:1 --region eu-central-1 --kms-key alias/images
`,
    )
    .action(async (image: string, { tlsVerify: verifyTls, ...options }: PushOptions) => {
      const region = options.region || process.env.AWS_REGION || process.env.AWS_DEFAULT_REGION;
      if (!region)
        throw new UserError('no region is given.', 'add --region, e.g. --region eu-central-1, or set AWS_REGION.');
      // the AWS SDK's advice on the version of Node.js is not about what is run here
      process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true';
      const { pushImage } = await import('../../lib/operations/image/push.js');
      const { findContainerTool } = await import('../../lib/local/jobs/container-tool.js');
      const tool = findContainerTool('build', options.tool);
      const pushed = await pushImage({ ...options, tool, image, region, verifyTls, onLine: tell });
      tell(`✓ pushed ${image} as ${pushed.repositoryUri}:${pushed.tag}`);
      process.stdout.write(`${pushed.uri}\n`);
    });
}

interface ShellOptions {
  folder?: string;
  channel: Record<string, string>;
  hyperparameter: Record<string, string>;
  tool?: string;
}

function shellCommand(): Command {
  return new Command('shell')
    .description('open a shell in an image with a mock /opt/ml, as a training job finds it; or run a command there')
    .argument('[image]', 'as this machine has it', OWN_IMAGE)
    .argument('[command...]', 'what to run (default: sh)')
    .option('--folder <folder>', 'becomes /opt/ml, and is kept (default: a new one, deleted afterwards)')
    .option('--channel <name=folder>', 'a channel, read-only; may be given again', collectParameter, {})
    .option('--hyperparameter <name=value>', 'may be given again', collectParameter, {})
    .addOption(toolOption(['docker', 'podman']))
    .passThroughOptions()
    .addHelpText(
      'after',
      `
Examples:
  scanline image shell
  scanline image shell --channel train=images/train --channel validation=images/valid ${OWN_IMAGE} train
`,
    )
    .action(async (image: string, command: string[], options: ShellOptions) => {
      const { openShell } = await import('../../lib/operations/image/shell.js');
      const { findContainerTool } = await import('../../lib/local/jobs/container-tool.js');
      const channels = Object.fromEntries(
        Object.entries(options.channel).map(([name, folder]) => [name, resolve(folder)] as const),
      );
      const folder = options.folder && resolve(options.folder);
      if (folder) mkdirSync(folder, { recursive: true });
      const tool = findContainerTool('run', options.tool);
      hasStatus(await openShell({ tool, image, command, folder, channels, hyperparameters: options.hyperparameter }));
    });
}

function sbomCommand(): Command {
  return new Command('sbom')
    .description("print the software bill of materials of Scanline's image, as CycloneDX")
    .argument('[image]', 'as this machine has it', OWN_IMAGE)
    .addOption(toolOption(['docker', 'podman']))
    .addHelpText('after', '\nExample:\n  scanline image sbom > sbom.cdx.json\n')
    .action(async (image: string, options: { tool?: string }) => {
      const { billOfMaterials } = await import('../../lib/operations/image/shell.js');
      const { findContainerTool } = await import('../../lib/local/jobs/container-tool.js');
      process.stdout.write(await billOfMaterials(findContainerTool('run', options.tool), image));
    });
}

export function imageCommand(): Command {
  const command = new Command('image')
    .enablePositionalOptions()
    .description('build the container image, push it to Amazon ECR, look into it');
  for (const subcommand of [buildCommand(), pushCommand(), shellCommand(), sbomCommand()])
    command.addCommand(subcommand);
  return command.addHelpText(
    'after',
    `
Examples:
  scanline image build && scanline image push --region eu-central-1
  scanline image shell
`,
  );
}
