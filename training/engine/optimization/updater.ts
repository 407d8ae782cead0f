// What becomes of the gradients of a step: unscaled, summed over batches, clipped, applied to the weights, and the weights averaged.
import type { Tensor } from '@tensorflow/tfjs-node-gpu';
import { type InputSpec, type Program, type Runtime, scalar, type Values, type Variable } from '../../compiler/runtime';
import { tf } from '../../native/tensorflow';
import { filled, float32, op } from '../../ops/op';
import { allFinite, type LossScale, onlyIf } from './loss-scale';
import type { Optimizer } from './optimizers';

export interface UpdateOptions {
  /** Gradients longer than this, all together, are shortened to it (torch.nn.utils.clip_grad_norm_). @default none */
  readonly clipNorm?: number;
  /** Each value of a gradient is kept between -this and this (torch.nn.utils.clip_grad_value_). @default none */
  readonly clipValue?: number;
  /**
   * Batches whose gradients are averaged, each weighted by its images, before the weights are moved. The same as one large batch,
   * except where batches look into themselves: batch normalisation, class weights, Dice over the batch. @default 1
   */
  readonly accumulate?: number;
  /** Of the moving average of the weights, which is what is validated and saved; 0: none. @default 0 */
  readonly averageDecay?: number;
  /** Scales the loss, and skips updates whose gradients overflow; fp16 needs it. Compiled steps alone. @default none */
  readonly lossScale?: LossScale;
}

type Coefficient = 'rate' | 'epsilon' | 'decay' | 'averaging';

/** What a program that calls `Updater.take` has among its inputs. */
export type UpdateInput = Coefficient | 'scale' | 'images';

const NUMBER: InputSpec = { dtype: 'float32', shape: [] };

/** Batches whose gradients are summed up and not yet applied. */
export interface Accumulated {
  readonly batches: number;
  readonly images: number;
}

/** The length of all gradients together, summed in float32 in every precision. */
function lengthOf(gradients: Iterable<Tensor>): Tensor {
  const halves = [...gradients].map((gradient) => op('L2Loss', [gradient], { T: float32 }));
  return halves
    .reduce((sum, half) => sum.add(half))
    .mul(2)
    .sqrt();
}

type Gradients = ReadonlyMap<Variable, Tensor>;

function mapped(gradients: Gradients, change: (gradient: Tensor, variable: Variable) => Tensor): Gradients {
  return new Map([...gradients].map(([variable, gradient]) => [variable, change(gradient, variable)]));
}

/** Gradients clipped as PyTorch does it: by their common length, or value by value. For the body of a program. */
export function clip(gradients: Gradients, { clipNorm, clipValue }: UpdateOptions): Gradients {
  if (clipValue) return mapped(gradients, (gradient) => gradient.clipByValue(-clipValue, clipValue));
  if (!clipNorm) return gradients;
  // a value that PyTorch adds too, so that no gradient is divided by 0
  const share = tf.scalar(clipNorm).div(lengthOf(gradients.values()).add(1e-6)).minimum(1);
  return mapped(gradients, (gradient) => gradient.mul(share));
}

export class Updater {
  /** The inputs that a step's program needs for it. */
  readonly inputs: Readonly<Record<UpdateInput, InputSpec>> = {
    ...{ rate: NUMBER, epsilon: NUMBER, decay: NUMBER, averaging: NUMBER, scale: NUMBER, images: NUMBER },
  };
  /** The moving averages, by the variables that they are of; empty where there are none. */
  readonly averages: ReadonlyMap<Variable, Variable>;
  /** All that a checkpoint must hold beside the weights. */
  readonly state: readonly Variable[];
  private readonly sums: ReadonlyMap<Variable, Variable>;
  private readonly flush: Program<Coefficient | 'images', 'finite'> | undefined;
  private pending: Accumulated = { batches: 0, images: 0 };

  constructor(
    private readonly runtime: Runtime,
    private readonly trained: readonly Variable[],
    private readonly optimizer: Optimizer,
    private readonly options: UpdateOptions = {},
  ) {
    const beside = (name: string) =>
      new Map(trained.map((variable) => [variable, runtime.variable(`${variable.name}/${name}`, variable.shape)]));
    this.averages = options.averageDecay ? beside('average') : new Map();
    this.sums = this.accumulate > 1 ? beside('gradient_sum') : new Map();
    this.state = [...optimizer.state, ...this.averages.values(), ...this.sums.values()];
    if (this.accumulate > 1) this.flush = this.flushProgram();
  }

  private get accumulate(): number {
    return this.options.accumulate ?? 1;
  }

  get accumulated(): Accumulated {
    return this.pending;
  }

  /** Goes on from batches that were summed up before a checkpoint; the sums themselves are among the state. */
  restore(accumulated: Accumulated): void {
    this.pending = accumulated;
  }

  /** Zeroes the optimizer's state and the sums; averages begin with the present weights. */
  async initialise(): Promise<void> {
    await this.run(() => this.reset());
  }

  /** What `initialise` does: for the body of a program, after what gives the weights their values. */
  reset(): void {
    this.optimizer.reset();
    this.averageAnew();
    for (const sum of this.sums.values()) sum.assign(filled(sum.shape, 0));
  }

  /** Averages begin anew, with the present weights. */
  async startAverages(): Promise<void> {
    if (this.averages.size > 0) await this.run(() => this.averageAnew());
  }

  private averageAnew(): void {
    for (const [variable, average] of this.averages) average.assign(variable.read());
  }

  private async run(body: () => void): Promise<void> {
    const program = this.runtime.program({}, () => {
      body();
      return {};
    });
    await program.run({});
  }

  /** What the loss is to be multiplied by: for the body of a program. */
  scale(loss: Tensor, scale: Tensor): Tensor {
    return this.options.lossScale ? loss.mul(scale) : loss;
  }

  /**
   * Takes the gradients of a batch: for the body of a program.
   *
   * @param gradients of the scaled loss
   * @returns 0 where they overflowed and nothing was moved, else 1
   */
  take(gradients: Gradients, { scale, images, ...coefficients }: Record<UpdateInput, Tensor>): Tensor {
    const own = this.options.lossScale ? mapped(gradients, (gradient) => gradient.div(scale)) : gradients;
    if (this.accumulate === 1) return this.move(own, coefficients);
    for (const [variable, gradient] of own) this.sums.get(variable)?.add(gradient.mul(images));
    return tf.scalar(1);
  }

  /** Clips and applies gradients, and moves the averages; nothing at all where they are not finite and a loss scale is at work. */
  private move(gradients: Gradients, coefficients: Record<Coefficient, Tensor>): Tensor {
    const finite = this.options.lossScale && allFinite([...gradients.values()]);
    const gated = (tensor: Tensor) => (finite ? onlyIf(finite, tensor) : tensor);
    const clipped = mapped(clip(gradients, this.options), gated);
    const { rate, epsilon, decay, averaging } = coefficients;
    this.optimizer.apply(clipped, { rate: gated(rate), epsilon: gated(epsilon), decay: gated(decay) });
    if (this.averages.size > 0) {
      const share = gated(averaging);
      for (const [variable, average] of this.averages) average.subtract(average.read().sub(variable.read()).mul(share));
    }
    return finite ? finite.cast('float32') : tf.scalar(1);
  }

  private flushProgram(): Program<Coefficient | 'images', 'finite'> {
    const { scale: _, ...inputs } = this.inputs;
    return this.runtime.program(inputs, ({ images, ...coefficients }) => {
      const means = new Map(
        this.trained.map((variable) => [variable, (this.sums.get(variable) as Variable).read().div(images)]),
      );
      const finite = this.move(means, coefficients);
      for (const sum of this.sums.values()) sum.assign(filled(sum.shape, 0));
      return { finite };
    });
  }

  /**
   * Values for the inputs.
   *
   * @param update number of the update, 0 for the first of the training
   * @param images of the batch
   */
  feeds(learningRate: number, update: number, images: number): Record<UpdateInput, Values> {
    const { rate, epsilon, decay } = this.optimizer.coefficients(learningRate, update + 1);
    return {
      ...{ rate: scalar.float(rate), epsilon: scalar.float(epsilon), decay: scalar.float(decay) },
      averaging: scalar.float(1 - (this.options.averageDecay ?? 0)),
      scale: scalar.float(this.options.lossScale?.state.scale ?? 1),
      images: scalar.float(images),
    };
  }

  /**
   * To be called after every run of the step's program.
   *
   * @param finite what `take` gave
   * @param last whether no further batch is to be waited for, as at the end of an epoch
   * @returns whether the weights were to be moved, and whether they stayed for the gradients overflowed
   */
  async settle(
    finite: boolean,
    { learningRate, update, images, last }: { learningRate: number; update: number; images: number; last: boolean },
  ): Promise<{ updated: boolean; skipped: boolean }> {
    let moved = finite;
    if (this.flush) {
      this.pending = { batches: this.pending.batches + 1, images: this.pending.images + images };
      if (this.pending.batches < this.accumulate && !last) return { updated: false, skipped: false };
      const { scale: _, ...inputs } = this.feeds(learningRate, update, this.pending.images);
      moved = (await this.flush.run(inputs)).finite.data[0] !== 0;
      this.pending = { batches: 0, images: 0 };
    }
    this.options.lossScale?.update(moved);
    return { updated: true, skipped: !moved };
  }
}
