// scanline run: a CDK app's pipeline on this machine, from the definition to predictions of an endpoint.
import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Command, Option } from 'commander';
import { UserError } from '../../training/errors';
import type { TaskName } from '../../training/hyperparameters';
import { packageRoot } from '../../training/native/cache';
import { collectParameter } from './arguments';

interface Options {
  task?: TaskName;
  app?: string;
  data?: string;
  pipeline?: string;
  parameter: Record<string, string>;
  state: string;
  executor: 'process' | 'container';
  memory?: string;
  out: string;
}

export function runCommand(): Command {
  return new Command('run')
    .description(
      "run a CDK app's pipeline on this machine, no cloud needed; then deploy the model and ask it about what was held out",
    )
    .option('--app <command>', "command of the CDK app (default: `app` of this folder's cdk.json)")
    .addOption(
      new Option('--task <name>', 'what the app is told to train, as `cdk deploy -c task=...` does').choices([
        'classification',
        'segmentation',
      ]),
    )
    .option(
      '--data <folder>',
      "class folders of images, or subjects with their volumes, put where the pipeline looks for its input (default: in Scanline's own checkout, its sample)",
    )
    .option('--pipeline <name>', 'which pipeline, where the app has several')
    .option('--parameter <Name=value>', 'a parameter of the pipeline; may be given again', collectParameter, {})
    .option('--state <folder>', 'gets the state of the local control plane, its S3 and its jobs', '.scanline')
    .addOption(
      new Option('--executor <kind>', 'jobs as processes, or in their real images (docker or podman)')
        .choices(['process', 'container'])
        .default('process'),
    )
    .option('--memory <size>', 'what each container may take, e.g. 8g (default: all)')
    .option('--out <file>', 'gets the report', 'report.html')
    .addHelpText(
      'after',
      `
Examples:
  scanline run
  scanline run --parameter LeastAccuracy=0.95 --parameter ApprovalStatus=Approved
  scanline run --executor container
  scanline run --task segmentation --parameter LeastDice=0.75
  scanline run --app 'node app.js' --data images --out reports/today.html
`,
    )
    .action(async (options: Options) => {
      if (options.memory !== undefined && options.executor !== 'container')
        throw new UserError('--memory is about containers, and jobs run as processes.', 'add --executor container.');
      const state = resolve(options.state);
      mkdirSync(state, { recursive: true });
      // the AWS SDK's advice on the version of Node.js is not about what is run here
      process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true';
      const example = options.task === 'segmentation' ? ['mni-tissue', 'volumes'] : ['mni-planes', 'images'];
      const sample = join(packageRoot, 'examples', ...example);
      const isOwn =
        resolve('.') === packageRoot && options.app === undefined && options.parameter.InputData === undefined;
      const data = options.data ?? (isOwn ? sample : undefined);
      const { runLocally } = await import('../local-run.js');
      await runLocally({
        ...options,
        state,
        ...(data !== undefined && { data: resolve(data) }),
        out: resolve(options.out),
        parameters: options.parameter,
      });
    });
}
