// Looks over a machine: everything that training and serving need of it, and what they would do with it.
import { spawnSync } from 'node:child_process';
import { missingAddons, tfjsFolder } from './addons';
import { cacheFolder, type Flavour } from './cache';
import { isInstalled, tensorflowFolder, tensorflowVersion } from './install';
import { hasBf16, inspectMachine, type Machine, unsupported } from './machine';

export interface Finding {
  readonly ok: boolean;
  readonly what: string;
  readonly found: string;
  readonly fix?: string;
}

function firstLine(command: string, ...args: string[]): string | undefined {
  const { status, stdout } = spawnSync(command, args, { encoding: 'utf8' });
  return status === 0 ? stdout.split('\n')[0] : undefined;
}

function tool(what: string, found: string | undefined, purpose: string, fix: string): Finding {
  return found === undefined ? { ok: false, what, found: `not found; ${purpose}`, fix } : { ok: true, what, found };
}

function describeBuild(flavour: Flavour): Finding {
  const what = `TensorFlow ${flavour}`;
  const fix = `npx scanline setup --tensorflow ${flavour}`;
  if (!isInstalled(flavour)) return { ok: false, what, found: 'not set up', fix };
  const built = missingAddons(flavour).length === 0;
  const found = `${tensorflowVersion(flavour)} in ${tensorflowFolder(flavour)}`;
  return built ? { ok: true, what, found } : { ok: false, what, found: `${found}, but its binding is not built`, fix };
}

function describeRun(machine: Machine): Finding {
  const device =
    machine.gpus.length > 0 && isInstalled('gpu') ? `the GPU (${machine.gpus[0]})` : `${machine.cores} cores`;
  const precisions =
    machine.gpus.length > 0 ? 'fp32, bf16, fp16' : hasBf16(machine) ? 'fp32, bf16' : 'fp32 (no bfloat16 instructions)';
  return { ok: true, what: 'training on', found: `${device}; precision ${precisions}` };
}

/** Findings in the order in which they are worth mending. */
export function examine(): Finding[] {
  const machine = inspectMachine();
  const obstacle = unsupported(machine);
  const gigabytes = (machine.memory / 1e9).toFixed(0);
  const builds = (['cpu', 'gpu'] as const).filter((flavour) => isInstalled(flavour));
  const wanted: Flavour[] = builds.length > 0 ? [...builds] : [machine.gpus.length > 0 ? 'gpu' : 'cpu'];
  let tfjs: string | undefined;
  try {
    tfjs = tfjsFolder();
  } catch {
    tfjs = undefined;
  }
  return [
    { ok: true, what: 'Node.js', found: `${process.versions.node} (${process.execPath})` },
    {
      ok: obstacle === undefined,
      what: 'machine',
      found: obstacle?.problem ?? `${machine.platform}, ${machine.processor}, ${machine.cores} cores, ${gigabytes} GB`,
      ...(obstacle && { fix: obstacle.fix }),
    },
    { ok: true, what: 'GPU', found: machine.gpus.join(', ') || 'none' },
    tool(
      'C++ compiler',
      firstLine('g++', '--version'),
      'it builds the binding to TensorFlow',
      'sudo apt-get install g++',
    ),
    tool(
      'pip',
      firstLine('python3', '-m', 'pip', '--version'),
      'it fetches TensorFlow',
      'sudo apt-get install python3-pip',
    ),
    tool('tfjs', tfjs, 'training stands on it', 'npm install --ignore-scripts @tensorflow/tfjs-node-gpu@4.22.0'),
    { ok: true, what: 'cache', found: cacheFolder() },
    ...(tfjs === undefined ? [] : wanted.map(describeBuild)),
    ...(obstacle ? [] : [describeRun(machine)]),
  ];
}
