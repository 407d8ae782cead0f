// scanline setup: fetches and builds what training and serving need.
import { Command, Option } from 'commander';
import { setUp } from '../../training/native/setup';

export function setupCommand(): Command {
  return new Command('setup')
    .description('fetch TensorFlow and build the binding to it, once for all checkouts on this machine')
    .addOption(
      new Option('--tensorflow <build>', 'which build (default: gpu where there is an NVIDIA device)').choices([
        'cpu',
        'gpu',
      ]),
    )
    .option('--quiet', 'print nothing where everything is set up already')
    .addHelpText('after', '\nExamples:\n  scanline setup\n  scanline setup --tensorflow gpu\n')
    .action(async (options: { tensorflow?: 'cpu' | 'gpu'; quiet?: boolean }) => {
      const flavour = await setUp(options.tensorflow, (line) => process.stderr.write(`• ${line}\n`));
      if (!options.quiet) process.stdout.write(`TensorFlow (${flavour}) is set up; \`scanline doctor\` tells more.\n`);
    });
}
