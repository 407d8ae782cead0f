#!/usr/bin/env node
// The command line: one file for each command below commands/.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { explain } from '../training/faults';
import { packageRoot } from '../training/native/cache';
import { benchCommand } from './commands/bench';
import { checkCommand } from './commands/check';
import { contractCommand } from './commands/contract';
import { dataCommand } from './commands/data';
import { doctorCommand } from './commands/doctor';
import { imageCommand } from './commands/image';
import { predictCommand } from './commands/predict';
import { runCommand } from './commands/run';
import { setupCommand } from './commands/setup';
import { splitCommand } from './commands/split';
import { startCommand } from './commands/start';
import { stopCommand } from './commands/stop';
import { tensorboardCommand } from './commands/tensorboard';
import { trainCommand } from './commands/train';
import { watchCommand } from './commands/watch';
import { weightsCommand } from './commands/weights';

const { version } = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8'));

const program = new Command('scanline')
  .description('Trains, evaluates and serves medical-imaging models: on SageMaker, or on this machine.')
  .version(version)
  .showHelpAfterError('(add --help for the options and examples)')
  .enablePositionalOptions();

/** Gives a command, and those below it, the settings of another. */
function inherit(command: Command, from: Command): Command {
  command.copyInheritedSettings(from);
  for (const below of command.commands) inherit(below, command);
  return command;
}

for (const subcommand of [
  runCommand(),
  startCommand(),
  watchCommand(),
  stopCommand(),
  setupCommand(),
  doctorCommand(),
  checkCommand(),
  contractCommand(),
  dataCommand(),
  imageCommand(),
  splitCommand(),
  trainCommand(),
  predictCommand(),
  benchCommand(),
  tensorboardCommand(),
  weightsCommand(),
])
  program.addCommand(inherit(subcommand, program));

// a reader that has seen enough, as `head`, is no failure
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));

program.parseAsync().catch((thrown: unknown) => {
  const error = explain(thrown);
  // what a user can mend needs no stack trace
  const expected = error instanceof Error && error.name === 'UserError';
  process.stderr.write(`\n✗ ${expected ? error.message : ((error as Error)?.stack ?? error)}\n`);
  process.exit(1);
});
