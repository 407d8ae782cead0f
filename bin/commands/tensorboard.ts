// scanline tensorboard: TensorBoard on the logs of trainings, where it is installed.
import { spawn, spawnSync } from 'node:child_process';
import { Command } from 'commander';
import { UserError } from '../../training/errors';

/** TensorBoard itself, or as a module of the Python that is there. */
function findTensorBoard(): string[] {
  const candidates = [['tensorboard'], ['python3', '-m', 'tensorboard.main']];
  const found = candidates.find(
    ([command, ...args]) => spawnSync(command as string, [...args, '--version']).status === 0,
  );
  if (found) return found;
  throw new UserError(
    'TensorBoard is not installed.',
    'pip install tensorboard (in a virtual environment, and activate it).',
  );
}

export function tensorboardCommand(): Command {
  return new Command('tensorboard')
    .description('start TensorBoard on the logs of trainings')
    .requiredOption('--logs <folder>', 'what trainings wrote to: all runs below it are shown')
    .option('--port <number>', 'port on this machine', '6006')
    .addHelpText('after', '\nExample:\n  scanline tensorboard --logs runs\n')
    .action(({ logs, port }: { logs: string; port: string }) => {
      const [command, ...args] = findTensorBoard() as [string, ...string[]];
      const child = spawn(command, [...args, '--logdir', logs, '--port', port, '--host', '127.0.0.1'], {
        stdio: 'inherit',
      });
      for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal));
      child.on('close', (code) => {
        process.exitCode = code ?? 0;
      });
    });
}
