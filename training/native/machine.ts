// What this machine can run: processor features, cores, memory and NVIDIA devices.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';

export interface Machine {
  readonly platform: string;
  /** Cores that this process may use. */
  readonly cores: number;
  /** Bytes of memory that this process may use: the machine's, or its control group's limit where that is lower. */
  readonly memory: number;
  readonly processor: string;
  /** Instruction-set flags by the names of /proc/cpuinfo. */
  readonly flags: ReadonlySet<string>;
  /** Models of the NVIDIA devices, as the driver names them. */
  readonly gpus: readonly string[];
}

/** AVX512 or AMX instructions that multiply bfloat16; without them oneDNN emulates, slower than float32. */
const BF16_FLAGS = ['avx512_bf16', 'amx_bf16'];

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

function nvidiaDevices(): string[] {
  const folder = '/proc/driver/nvidia/gpus';
  if (!existsSync(folder)) return [];
  return readdirSync(folder).map((id) => /Model:\s*(.+)/.exec(read(`${folder}/${id}/information`))?.[1]?.trim() ?? id);
}

export function inspectMachine(): Machine {
  const cpuinfo = read('/proc/cpuinfo');
  const groupLimit = Number(read('/sys/fs/cgroup/memory.max').trim());
  return {
    platform: `${process.platform} ${process.arch}`,
    cores: availableParallelism(),
    memory: groupLimit > 0 ? Math.min(groupLimit, totalmem()) : totalmem(),
    processor: /model name\s*:\s*(.+)/.exec(cpuinfo)?.[1] ?? 'unknown',
    flags: new Set(/flags\s*:\s*(.+)/.exec(cpuinfo)?.[1]?.split(' ') ?? []),
    gpus: nvidiaDevices(),
  };
}

/** Whether the processor multiplies bfloat16 itself. */
export function hasBf16(machine: Machine): boolean {
  return BF16_FLAGS.some((flag) => machine.flags.has(flag));
}

/**
 * What is told when the build for GPUs runs on none.
 *
 * @param expected the GPUs that the job should have, as SM_NUM_GPUS says
 */
export function cpuFallback({ gpus, cores }: Machine, expected: string | undefined): string {
  const [device] = gpus;
  const where = `it computes on the CPU (${cores} cores)`;
  if (device !== undefined)
    return `TensorFlow cannot use the NVIDIA device ${device}: ${where}. See that the driver is 525 or newer, and that the container gets the device (docker run --gpus all).`;
  const missing = Number(expected) > 0 ? `though SM_NUM_GPUS is ${expected}, ` : '';
  return `TensorFlow for GPUs finds no NVIDIA device: ${missing}${where}.`;
}

/** Why TensorFlow cannot run here, with the way out; undefined where it can. */
export function unsupported(machine: Machine): { problem: string; fix: string } | undefined {
  if (machine.platform !== 'linux x64') {
    return {
      problem: `TensorFlow for Scanline is built for Linux on x64, not for ${machine.platform}.`,
      fix: 'train on Linux x64 (a virtual machine or container does); the CDK constructs work here all the same.',
    };
  }
  if (!machine.flags.has('avx')) {
    return {
      problem: `TensorFlow needs a processor with AVX; ${machine.processor} has none.`,
      fix: 'use a machine made after 2012; inside a virtual machine, pass the host processor through (e.g. QEMU `-cpu host`).',
    };
  }
  return undefined;
}
