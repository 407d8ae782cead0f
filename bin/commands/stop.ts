// scanline stop: ends an execution before its time.
import { Command } from 'commander';

export function stopCommand(): Command {
  return new Command('stop')
    .description('stop an execution; its jobs are ended, and what they have kept so far stays')
    .argument('<execution>', 'ARN of the execution, or name of the pipeline for its latest')
    .option('--region <region>', 'AWS region (default: AWS_REGION, or that of the profile)')
    .addHelpText(
      'after',
      `
Examples:
  scanline stop chest-xray
  scanline stop arn:aws:sagemaker:eu-central-1:111122223333:pipeline/chest-xray/execution/abcdefghijkl
`,
    )
    .action(async (execution: string, { region }: { region?: string }) => {
      // the AWS SDK's advice on the version of Node.js is not about what is run here
      process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true';
      const { withSageMaker } = await import('../../lib/operations/client.js');
      const { findExecution, stopExecution } = await import('../../lib/operations/execution.js');
      await withSageMaker(region, async (client) => {
        const executionArn = await findExecution(client, execution);
        await stopExecution(client, executionArn);
        process.stdout.write(`${executionArn} is being stopped\n`);
      });
    });
}
