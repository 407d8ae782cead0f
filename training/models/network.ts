// What a network is: named parameters, and a function of them and of an image batch.
import type { Tensor } from '@tensorflow/tfjs-node-gpu';
import type { Values, Variable } from '../compiler/runtime';
import type { RandomKey } from '../ops/random';

/** How a parameter's initial values are drawn. */
export type Initializer =
  | { readonly kind: 'constant'; readonly value: number }
  /** Uniform in [-bound, bound). */
  | { readonly kind: 'uniform'; readonly bound: number }
  /** `repeat`: so many neighbours along the last axis are the same. @default 1 */
  | { readonly kind: 'normal'; readonly deviation: number; readonly repeat?: number };

export interface ParameterSpec {
  /** PyTorch's name of it in MONAI's network, e.g. features.conv0.weight. */
  readonly name: string;
  /** Its shape here; a convolution's kernel is [...size, in, out]. */
  readonly shape: readonly number[];
  /** A convolution's kernel is [out, in, ...size] in PyTorch; all else has the same layout in both. */
  readonly layout: 'kernel' | 'same';
  readonly initial: Initializer;
  /**
   * - trained: moved by the optimizer
   * - unused: a parameter that MONAI's network has and never uses, kept so that its weights load and the count agrees
   * - buffer: moved by the network itself (running statistics); not counted as a parameter
   */
  readonly role: 'trained' | 'unused' | 'buffer';
  /** Whether it is of use to training alone: no part of a model that is trained. @default false */
  readonly trainingOnly?: boolean;
}

/** One pass through a network: gives its parameters their values. */
export interface Pass {
  /** Whether dropout drops and batch normalisation uses the batch's own statistics. */
  readonly training: boolean;
  /** Whether the parts that are `checkpointed` are computed again for their gradients, rather than kept. @default false */
  readonly checkpointing?: boolean;
  parameter(name: string): Tensor;
  /** Moves a buffer. */
  assign(name: string, value: Tensor): void;
  /** What the random numbers of a site are drawn from in this pass. */
  key(site: number): RandomKey;
}

/** A part of a network: a function of a tensor and the pass. */
export type Layer = (x: Tensor, pass: Pass) => Tensor;

/** Where a classifier has looked: a pass that gives maps beside the logits. */
export interface Explanation {
  /**
   * - class activation: what each place adds to each class before the mean (CAM, https://arxiv.org/abs/1512.04150)
   * - attention: how much the class token of the last block heeds each place, the mean over the heads
   */
  readonly kind: 'class activation' | 'attention';
  /** [N, ...spatial, C] -> logits [N, classes], and maps [N, ...coarser, classes], or [N, ...coarser, 1] of attention */
  readonly forward: (x: Tensor, pass: Pass) => { readonly logits: Tensor; readonly maps: Tensor };
}

/** A network: what it learns, and what it computes of it. */
export interface Network {
  /** Weights and buffers, by PyTorch's names and shapes. */
  readonly parameters: readonly ParameterSpec[];
  /** [N, ...spatial, C] -> logits: [N, classes] of a classifier, [N, ...spatial, classes] of a segmentation network */
  readonly forward: Layer;
  /**
   * For training with deep supervision (Lee et al., https://arxiv.org/abs/1409.5185): what `forward` gives, and logits of coarser levels
   * of the decoder, [N, ...coarser, classes], the finest first. @default none
   */
  readonly levels?: (x: Tensor, pass: Pass) => readonly Tensor[];
  /** @default it cannot say where it has looked */
  readonly explanation?: Explanation;
  /** What MONAI's state dict holds beside weights and can be computed, by name: read over, and written with the weights. @default none */
  readonly constants?: ReadonlyMap<string, () => Values>;
}

/** How many numbers the network learns, as PyTorch counts them: without buffers. */
export function parameterCount(network: Network): number {
  return network.parameters
    .filter(({ role }) => role !== 'buffer')
    .reduce((count, { shape }) => count + shape.reduce((product, dimension) => product * dimension, 1), 0);
}

/** Collects the parameters that layers declare, under the dotted names that PyTorch gives to nested modules. */
export class Scope {
  private constructor(
    private readonly path: string,
    private readonly declared: ParameterSpec[],
    private readonly counter: { sites: number },
    private readonly role: ParameterSpec['role'] = 'trained',
    private readonly forTraining = false,
  ) {}

  static root(): Scope {
    return new Scope('', [], { sites: 0 });
  }

  /** The scope of a module inside this one. */
  at(name: string | number): Scope {
    return new Scope(`${this.path}${name}.`, this.declared, this.counter, this.role, this.forTraining);
  }

  /** The same scope for layers that are declared and never used. */
  unused(): Scope {
    return new Scope(this.path, this.declared, this.counter, 'unused');
  }

  /** The same scope for layers that a trained model is without. */
  trainingOnly(): Scope {
    return new Scope(this.path, this.declared, this.counter, this.role, true);
  }

  /** The full name of what is declared here. */
  nameOf(name: string): string {
    return this.path + name;
  }

  /** Declares a parameter and gives its full name. */
  parameter(
    name: string,
    shape: readonly number[],
    initial: Initializer,
    { layout = 'same', role = this.role }: Partial<Pick<ParameterSpec, 'layout' | 'role'>> = {},
  ): string {
    const full = this.nameOf(name);
    this.declared.push({ name: full, shape, layout, initial, role, ...(this.forTraining && { trainingOnly: true }) });
    return full;
  }

  /** A number for a place that draws random numbers while the network runs. */
  randomSite(): number {
    return this.counter.sites++;
  }

  get parameters(): readonly ParameterSpec[] {
    return this.declared;
  }
}

/** A pass whose parameters are given as tensors and whose buffers are variables. */
export function makePass(
  parameters: ReadonlyMap<string, Tensor>,
  buffers: ReadonlyMap<string, Variable>,
  options: Omit<Pass, 'parameter' | 'assign'>,
): Pass {
  return {
    ...options,
    parameter: (name) => parameters.get(name) ?? buffers.get(name)?.read() ?? missing(name),
    assign: (name, value) => (buffers.get(name) ?? missing(name)).assign(value),
  };
}

function missing(name: string): never {
  throw new Error(`the network has no parameter ${name}`);
}
