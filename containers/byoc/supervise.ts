// Looks after the process that trains: what the kernel kills, or a library aborts, cannot leave a reason of its own.
import { fork } from 'node:child_process';
import { join } from 'node:path';
import type { TrainingEnvironment } from '../../training/container';
import { listCheckpoints } from '../../training/engine/checkpoints/checkpoint-list';
import { explainSignal } from '../../training/faults';
import type { Hyperparameters } from '../../training/hyperparameters';

/** Characters of the end of what it wrote to stderr that are looked through for a reason. */
const LAST_WORDS = 4000;

/**
 * Runs the program that trains, and ends with its exit status. SIGTERM is passed on to it; it ends with this process.
 *
 * @param program its file
 * @throws UserError when a signal ended it
 */
export async function supervise(
  program: string,
  { checkpointDir, outputDir }: TrainingEnvironment,
  hyperparameters: Hyperparameters,
): Promise<void> {
  const child = fork(program, { stdio: ['ignore', 'inherit', 'pipe', 'ipc'] });
  let stopped = false;
  process.on('SIGTERM', () => {
    stopped = true;
    child.kill('SIGTERM');
  });
  let lastWords = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    process.stderr.write(chunk);
    lastWords = (lastWords + chunk.toString()).slice(-LAST_WORDS);
  });
  const [status, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (...end) => resolve(end));
  });
  if (signal === null) {
    process.exitCode = status ?? 1;
    return;
  }
  // it had not begun
  if (stopped && signal === 'SIGTERM') return;
  const folder = checkpointDir ?? join(outputDir, hyperparameters.model_name, 'model');
  throw explainSignal(signal, lastWords, { hyperparameters, checkpoint: listCheckpoints(folder)[0]?.path });
}
