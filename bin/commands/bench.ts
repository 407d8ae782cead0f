// scanline bench: how fast a network trains on this machine, and what most likely limits it.
import { Command } from 'commander';
import { inspectMachine } from '../../training/native/machine';
import { positiveInteger } from './arguments';
import { addHyperparameterOptions, chosenHyperparameters } from './hyperparameter-options';

interface Options {
  data?: string;
  config?: string;
  model?: string;
  precision?: string;
  steps: number;
  warmup: number;
  threads?: number;
  json?: boolean;
}

/** One line that is written over on a terminal; elsewhere a line for each thing that is begun. */
function progressLine(): (text: string) => void {
  let before = '';
  return (text) => {
    const what = text.replace(/\d+ of \d+$/, '');
    if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
    else if (what !== before) process.stderr.write(`${text}\n`);
    before = what;
  };
}

export function benchCommand(): Command {
  const command = new Command('bench')
    .description('measure training steps of a network on this machine, and tell what most likely limits them')
    .option(
      '--data <folder>',
      'as `scanline train` takes it: steps with data loading are measured too (default: made up)',
    )
    .option('--config <file>', 'hyperparameters as YAML; what is given here wins over it')
    .option('--model <name>', 'the same as --model_name')
    .option('--steps <number>', 'steps that count; their median is told', positiveInteger, 10)
    .option('--warmup <number>', 'steps before them', positiveInteger, 3)
    .option('--threads <number>', 'cores to use (default: all)', positiveInteger)
    .option('--json', 'print one JSON object in place of the report');
  return addHyperparameterOptions(command)
    .addHelpText(
      'after',
      `
Each precision is measured in a process of its own: fp32, and bf16 (fp16 on a GPU) where the machine has it; --precision asks for one alone.
Floating-point operations are those of the convolutions and matrix products that TensorFlow ran in a traced step; the peak is that of large
matrix products in the same precision. Memory is that of the whole process.

Examples:
  scanline bench --model segresnet --init_filters 16 --roi_size 96 --batch_size 1
  scanline bench --model segresnet --data volumes --precision bf16
  scanline bench --model segresnet --roi_size 96 --gradient_checkpointing true --json
`,
    )
    .action(async (words: readonly string[], options: Options & Record<string, unknown>) => {
      const { data, steps, warmup, json, threads = inspectMachine().cores } = options;
      const hyperparameters = chosenHyperparameters(words, options, 'bench');
      const { benchmark, describeResults, precisionsHere } = await import('../../training/benchmark/index.js');
      const precisions = options.precision === undefined ? precisionsHere() : [hyperparameters.precision];
      const settings = { hyperparameters, threads, steps, warmup, ...(data !== undefined && { folders: { data } }) };
      const results = await benchmark(settings, precisions, progressLine());
      if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
      const { processor } = inspectMachine();
      if (json) {
        process.stdout.write(`${JSON.stringify({ processor, threads, hyperparameters, results }, null, 2)}\n`);
        return;
      }
      const { batch_size: batch } = hyperparameters;
      process.stdout.write(`${results[0]?.description}, batch ${batch}, on ${processor}\n`);
      for (const line of describeResults(results)) process.stdout.write(`${line}\n`);
    });
}
