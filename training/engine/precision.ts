// Which precision a training can have on this machine.
import type { Precision } from '../compiler/session-config';
import { hasBf16, inspectMachine } from '../native/machine';

/** The precision to use, and why it is another than was asked for. */
export interface PrecisionChoice {
  readonly precision: Precision;
  readonly note?: string;
}

/** @param gpu whether the training runs on a GPU @param eager whether op by op, which mixed precision is not for */
export function choosePrecision(asked: Precision, { gpu, eager }: { gpu: boolean; eager: boolean }): PrecisionChoice {
  const instead = (reason: string) =>
    ({ precision: 'fp32', note: `precision: fp32 instead of ${asked}, for ${reason}` }) as const;
  if (asked === 'fp32') return { precision: 'fp32' };
  if (eager) return instead('mixed precision is a rewriting of the compiled graph');
  // TensorFlow's rewriting for GPUs knows fp16 alone (grappler/optimizers/auto_mixed_precision.cc)
  if (gpu && asked === 'bf16')
    return { precision: 'fp16', note: 'precision: fp16 instead of bf16, for it runs on a GPU' };
  if (gpu) return { precision: asked };
  if (asked === 'fp16') return instead('fp16 needs a GPU');
  const machine = inspectMachine();
  return hasBf16(machine)
    ? { precision: 'bf16' }
    : instead(`this processor (${machine.processor}) has no bfloat16 instructions`);
}
