// How fast a network trains on this machine, in each precision that it has, and what most likely limits it.
import { fork } from 'node:child_process';
import { join } from 'node:path';
import type { Precision } from '../compiler/session-config';
import { UserError } from '../errors';
import { explainSignal } from '../faults';
import { hasBf16, inspectMachine } from '../native/machine';
import { type Bottleneck, findBottleneck } from './bottleneck';
import type { Measurement, Settings } from './measure';
import type { Message } from './process';

export interface Result extends Measurement {
  /** Floating-point operations per second over a whole step, as a share of the peak of a matrix product. */
  readonly shareOfPeak: number;
  readonly bottleneck: Bottleneck;
}

/** Precisions that this machine computes in. */
export function precisionsHere(): Precision[] {
  const machine = inspectMachine();
  if (machine.gpus.length > 0) return ['fp32', 'fp16'];
  return hasBf16(machine) ? ['fp32', 'bf16'] : ['fp32'];
}

/** @throws UserError where the process met what the user must mend, or was ended */
function measureInProcess(settings: Settings, report: (text: string) => void): Promise<Measurement> {
  const { hyperparameters } = settings;
  const child = fork(join(__dirname, 'process.js'), {
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    env: { ...process.env, TF_NUM_INTRAOP_THREADS: String(settings.threads) },
  });
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  let lastWords = '';
  child.stderr?.on('data', (chunk) => {
    lastWords = (lastWords + chunk).slice(-4000);
  });
  child.send(settings);
  return new Promise<Measurement>((resolve, reject) => {
    child.on('message', (message: Message) => {
      if (message.kind === 'progress') report(message.text);
      else if (message.kind === 'result') resolve(message.measurement);
      else if (message.fix === undefined) reject(new Error(message.problem));
      else reject(new UserError(message.problem, message.fix));
    });
    child.once('close', (status, signal) => {
      process.off('exit', kill);
      // after a result this changes nothing
      reject(
        signal
          ? explainSignal(signal, lastWords, { hyperparameters })
          : new Error(`the process that measures ended with ${status}: ${lastWords}`),
      );
    });
  });
}

/**
 * Measures one precision after the other.
 *
 * @param settings whose hyperparameters' precision is replaced by each of `precisions`
 * @throws UserError for data or settings that the user must mend
 */
export async function benchmark(
  settings: Settings,
  precisions: readonly Precision[],
  report: (text: string) => void,
): Promise<Result[]> {
  const results: Result[] = [];
  for (const precision of precisions) {
    const hyperparameters = { ...settings.hyperparameters, precision };
    const measurement = await measureInProcess({ ...settings, hyperparameters }, (text) =>
      report(`${precision}: ${text}`),
    );
    // a precision that was not to be had was replaced by another
    if (results.some((result) => result.precision === measurement.precision)) continue;
    const { cost, peak, loaded, millisecondsPerStep } = measurement;
    const all = cost.arithmetic + cost.moving;
    const observation = {
      step: millisecondsPerStep,
      ...(loaded && { loadedStep: loaded.millisecondsPerStep }),
      idle: cost.idle / cost.duration,
      arithmetic: cost.arithmetic / all,
      efficiency: cost.operations / cost.arithmetic / peak,
    };
    results.push({
      ...measurement,
      shareOfPeak: (cost.operations * 1000) / millisecondsPerStep / peak,
      bottleneck: findBottleneck(observation, hyperparameters, precisionsHere().length > 1),
    });
  }
  return results;
}

const mega = (bytes: number) => `${(bytes / 1e6).toFixed(0)} MB`;
const giga = (operations: number) => (operations / 1e9).toFixed(operations < 1e10 ? 1 : 0);

/** What a person reads of the results. */
export function describeResults(results: readonly Result[]): string[] {
  return results.flatMap((result) => {
    const { precision, millisecondsPerStep: step, samplesPerSecond, loaded, cost, peak, memory, bottleneck } = result;
    const all = cost.arithmetic + cost.moving;
    const largest = cost.largest.map(({ op, share }) => `${op} ${(share * 100).toFixed(0)}%`).join(', ');
    const reached = (cost.operations * 1000) / step;
    return [
      `${precision}`,
      `  without data loading   ${step.toFixed(1)} ms/step, ${samplesPerSecond.toFixed(2)} samples/s`,
      loaded
        ? `  with data loading      ${loaded.millisecondsPerStep.toFixed(1)} ms/step, ${loaded.samplesPerSecond.toFixed(2)} samples/s, waiting for data ${(loaded.waiting * 100).toFixed(0)}%`
        : '  with data loading      not measured: give --data',
      `  arithmetic             ${giga(cost.operations)} GFLOP/step, ${giga(reached)} GFLOP/s: ${(result.shareOfPeak * 100).toFixed(0)}% of the ${giga(peak)} GFLOP/s of a matrix product`,
      `  peak memory            ${mega(memory.peak)}, ${mega(memory.peak - memory.before)} of it by the steps`,
      `  time of the ops        ${((cost.arithmetic / all) * 100).toFixed(0)}% convolutions and matrix products; ${largest}`,
      `  most likely limit      ${bottleneck.limit}: ${bottleneck.reason}`,
      `    what to do           ${bottleneck.advice}`,
    ];
  });
}
