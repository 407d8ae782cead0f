// Loss scaling for fp16, whose smallest numbers are too large for many gradients (Micikevicius et al., https://arxiv.org/abs/1710.03740).
import type { Tensor } from '@tensorflow/tfjs-node-gpu';
import { float32, ops } from '../../ops/op';

/** The numbers of torch.amp.GradScaler, https://pytorch.org/docs/stable/amp.html */
const INITIAL = 2 ** 16;
const STEPS_TO_GROW = 2000;

export interface LossScaleState {
  /** What the loss is multiplied by, and the gradients are divided by. */
  readonly scale: number;
  /** Steps since the last that was skipped, or since the scale grew. */
  readonly steps: number;
}

/** The largest scale at which gradients do not overflow, found by trying: halved when they do, doubled after a while when they do not. */
export class LossScale {
  private current: LossScaleState = { scale: INITIAL, steps: 0 };

  constructor(private readonly stepsToGrow = STEPS_TO_GROW) {}

  get state(): LossScaleState {
    return this.current;
  }

  restore(state: LossScaleState): void {
    this.current = state;
  }

  /** @param finite whether all gradients of a step were finite numbers */
  update(finite: boolean): void {
    const { scale, steps } = this.current;
    if (!finite) this.current = { scale: scale / 2, steps: 0 };
    else if (steps + 1 === this.stepsToGrow) this.current = { scale: scale * 2, steps: 0 };
    else this.current = { scale, steps: steps + 1 };
  }
}

/** Whether all values of all tensors are finite: a boolean scalar, for the body of a program. */
export function allFinite(tensors: readonly Tensor[]): Tensor {
  return tensors.map((tensor) => tensor.isFinite().all()).reduce((all, one) => all.logicalAnd(one));
}

/** The tensor where the condition holds; where it does not, nothing, and whatever takes it is not executed. For compiled programs alone. */
export function onlyIf(condition: Tensor, tensor: Tensor): Tensor {
  return ops('Switch', [tensor, condition], { T: float32 }, 2)[1] as Tensor;
}
