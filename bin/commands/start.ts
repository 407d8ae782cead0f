// scanline start: starts a deployed pipeline, and waits for its end where that is asked for; for people and for any CI.
import { Command } from 'commander';
import { collect, collectParameter, positiveInteger } from './arguments';

interface Options {
  parameter: Record<string, string>;
  step?: string[];
  from?: string;
  wait: boolean;
  every: number;
  region?: string;
}

export function startCommand(): Command {
  return new Command('start')
    .description('start a pipeline on SageMaker; with --wait, show its steps and end as it ends')
    .argument('<name>', 'name or ARN of the pipeline')
    .option('--parameter <Name=value>', 'a parameter of the pipeline; may be given again', collectParameter, {})
    .option('--step <name>', 'run this step alone, on what --from made for it; may be given again', collect)
    .option('--from <execution>', 'with --step: ARN of the execution whose results are taken (default: the latest)')
    .option('--wait', 'wait for the end, and exit with 1 unless the execution succeeds', false)
    .option('--every <seconds>', 'with --wait, how often to look', positiveInteger, 10)
    .option('--region <region>', 'AWS region (default: AWS_REGION, or that of the profile)')
    .addHelpText(
      'after',
      `
Prints the ARN of the execution. AWS_ENDPOINT_URL_SAGEMAKER changes the address, e.g. to that of a local SageMaker.

Examples:
  scanline start chest-xray
  scanline start chest-xray --parameter InputData=s3://images/2030-01 --parameter LeastAccuracy=0.95 --wait
  scanline start chest-xray --step Evaluate --step AccuracyGate --parameter LeastAccuracy=0.9
  scanline watch $(scanline start chest-xray)
`,
    )
    .action(async (name: string, { parameter, step, from, wait, every, region }: Options, command: Command) => {
      if (from !== undefined && step === undefined)
        command.error('error: --from is of use with --step only; name the steps that are to run');
      // the AWS SDK's advice on the version of Node.js is not about what is run here
      process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true';
      const { withSageMaker } = await import('../../lib/operations/client.js');
      const { startExecution } = await import('../../lib/operations/execution.js');
      await withSageMaker(region, async (client) => {
        const executionArn = await startExecution(client, name, parameter, step && { steps: step, from });
        process.stdout.write(`${executionArn}\n`);
        if (!wait) return;
        const { followExecution } = await import('../follow-execution.js');
        await followExecution(client, executionArn, every);
      });
    });
}
