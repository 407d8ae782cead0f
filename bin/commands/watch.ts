// scanline watch: shows the steps of an execution until it ends, and ends as it does.
import { Command } from 'commander';
import { positiveInteger } from './arguments';

interface Options {
  every: number;
  region?: string;
}

export function watchCommand(): Command {
  return new Command('watch')
    .description('show the steps of an execution until it ends; exits with 1 unless it succeeds')
    .argument('<execution>', 'ARN of the execution, or name of the pipeline for its latest')
    .option('--every <seconds>', 'how often to look', positiveInteger, 10)
    .option('--region <region>', 'AWS region (default: AWS_REGION, or that of the profile)')
    .addHelpText(
      'after',
      `
Interrupted, it leaves the execution as it is.

Examples:
  scanline watch chest-xray
  scanline watch arn:aws:sagemaker:eu-central-1:111122223333:pipeline/chest-xray/execution/abcdefghijkl
`,
    )
    .action(async (execution: string, { every, region }: Options) => {
      // the AWS SDK's advice on the version of Node.js is not about what is run here
      process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true';
      const { withSageMaker } = await import('../../lib/operations/client.js');
      const { findExecution } = await import('../../lib/operations/execution.js');
      const { followExecution } = await import('../follow-execution.js');
      await withSageMaker(region, async (client) =>
        followExecution(client, await findExecution(client, execution), every),
      );
    });
}
