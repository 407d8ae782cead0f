// What a machine denies a training, told so that a user can mend it: room on a disk, permission, a channel's storage, memory.
import { UserError } from './errors';
import type { Hyperparameters } from './hyperparameters';

/** What is known of the training that met a fault. */
export interface Situation {
  readonly hyperparameters?: Hyperparameters;
  /** Path of the newest checkpoint, which is whole. @default there is none */
  readonly checkpoint?: string | undefined;
}

/** How TensorFlow, cuDNN, oneDNN (status 1: dnnl_out_of_memory), C++, V8 and the C library say that there is no memory left. */
const NO_MEMORY =
  /OOM when allocating|exception: ?Status: 1,|resource.?exhausted|bad_alloc|out[ _]of[ _]memory|alloc[_ ]?failed|failed to allocate|buffer allocation failed|cannot allocate memory|ENOMEM/i;

const SEGMENTERS = new Set(['segresnet', 'unet', 'swinunetr']);

const LARGER = 'a larger instance_type';

/** What takes less memory than these hyperparameters, what costs the least first. */
function lessMemory(h: Hyperparameters | undefined): string {
  if (h === undefined)
    return `lower batch_size, img_size or roi_size, set precision bf16 or fp16 or gradient_checkpointing, or take ${LARGER}.`;
  const half = Math.ceil(h.batch_size / 2);
  const size = SEGMENTERS.has(h.model_name) ? 'roi_size' : 'img_size';
  const ways = [
    ...(h.batch_size > 1
      ? [`batch_size ${half} instead of ${h.batch_size} (and accumulate_grad_batches ${h.accumulate_grad_batches * 2})`]
      : []),
    ...(h.precision === 'fp32' ? ['precision bf16 (CPU) or fp16 (GPU) instead of fp32'] : []),
    ...(h.gradient_checkpointing ? [] : ['gradient_checkpointing true']),
    `a smaller ${size} than ${h[size].join(' x ')}`,
    LARGER,
  ];
  return `any of these takes less: ${ways.join('; ')}.`;
}

const intact = ({ checkpoint }: Situation) =>
  checkpoint === undefined ? '' : ` The last checkpoint is intact: ${checkpoint}.`;

/** What is told by the code of an error of the file system: the problem, after the path, and how to mend it. */
const DENIALS: Readonly<Record<string, readonly [problem: string, fix: string]>> = {
  ENOSPC: [
    'cannot be written: the disk is full',
    'give the job a larger volume (VolumeSizeInGB), or keep less on it: lower num_to_keep and save_top_k.',
  ],
  EDQUOT: [
    'cannot be written: the quota of its disk is used up',
    'raise the quota, or lower num_to_keep and save_top_k.',
  ],
  EFBIG: [
    'cannot be written: it is larger than a file may be here',
    'raise the limit (`ulimit -f`), or write elsewhere.',
  ],
  EROFS: [
    'cannot be written: its file system is read-only',
    'mount it writable; SageMaker has /opt/ml/model, /opt/ml/output and /opt/ml/checkpoints so.',
  ],
  EACCES: [
    `is not for user ${process.getuid?.() ?? ''} to use: permission denied`,
    'change its owner or its mode, or give another folder; a container runs as root on SageMaker.',
  ],
  ENOTDIR: ['is no folder, or lies below what is none', 'give another folder, or move the file that is in the way.'],
  EISDIR: ['is a folder where a file is needed', 'give the path of a file.'],
  EIO: [
    'cannot be read or written: the storage behind it failed',
    'see that its disk or file system (EFS, FSx, S3 mount) is well, then start the job again.',
  ],
  EMFILE: ['cannot be opened: too many files are open', 'raise the limit (`ulimit -n`), or lower num_workers.'],
};

/** Codes that mean the same to a user. */
const SAME: Readonly<Record<string, string>> = {
  ...{ EPERM: 'EACCES', ENFILE: 'EMFILE', EEXIST: 'ENOTDIR' },
  ...{ ESTALE: 'EIO', ENOTCONN: 'EIO', EREMOTEIO: 'EIO', ETIMEDOUT: 'EIO' },
};

function deniedFile({ code = '', path, syscall }: NodeJS.ErrnoException, situation: Situation): UserError | undefined {
  // a network's time-out has the same code, and no path
  const denial = path === undefined && code === 'ETIMEDOUT' ? undefined : DENIALS[SAME[code] ?? code];
  if (denial === undefined) return undefined;
  const [problem, fix] = denial;
  return new UserError(`${path ?? 'a file'} ${problem} (${code}, ${syscall}).${intact(situation)}`, fix);
}

/**
 * What an error means to a user.
 *
 * @returns a UserError where the machine denied something; else the error itself
 */
export function explain(error: unknown, situation: Situation = {}): unknown {
  const { name, message = '', code } = (error ?? {}) as NodeJS.ErrnoException;
  if (name === 'UserError') return error;
  if (code === 'ERR_WORKER_OUT_OF_MEMORY' || NO_MEMORY.test(message)) {
    const [reason] = message.split('\n');
    return new UserError(`memory ran out: ${reason}.${intact(situation)}`, lessMemory(situation.hyperparameters));
  }
  return deniedFile(error as NodeJS.ErrnoException, situation) ?? error;
}

/** Signals that end a process for which there is no memory: the kernel's own, and what a failed allocation in C or C++ leads to. */
const OF_MEMORY: Partial<Record<NodeJS.Signals, string>> = {
  SIGKILL: 'the kernel ends so what takes more memory than there is',
  SIGABRT: 'a library ends so when it gets no memory',
  SIGSEGV: 'a library often ends so when it gets no memory',
  SIGBUS: 'a process ends so when its shared memory, or the disk of a mapped file, is full',
};

/**
 * What it means that a signal ended a training.
 *
 * @param lastWords the end of what it wrote to stderr
 */
export function explainSignal(signal: NodeJS.Signals, lastWords: string, situation: Situation): UserError {
  const said = lastWords.split('\n').find((line) => NO_MEMORY.test(line));
  const why = said?.trim() ?? OF_MEMORY[signal];
  const problem = `the training was ended by ${signal}${why === undefined ? '' : `: ${why}`}.${intact(situation)}`;
  return new UserError(
    problem,
    why === undefined ? 'see what the log says before.' : `if it was memory, ${lessMemory(situation.hyperparameters)}`,
  );
}
