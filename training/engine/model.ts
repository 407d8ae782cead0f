// A network with its variables in a runtime: initialised, loaded and saved under PyTorch's names and layouts.
import type { Tensor } from '@tensorflow/tfjs-node-gpu';
import type { Runtime, Values, Variable } from '../compiler/runtime';
import { UserError } from '../errors';
import { makePass, type Network, type ParameterSpec, type Pass } from '../models/network';
import { tf } from '../native/tensorflow';
import { Constants, filled } from '../ops/op';
import { randomNormal, randomUniform } from '../ops/random';
import { permute } from './weights/permute';

/** What PyTorch keeps beside running statistics: how many batches they have seen. */
const COUNTER = 'num_batches_tracked';

/** Named tensors as a PyTorch state dict holds them. */
export type Weights = ReadonlyMap<string, Values>;

/** Averages of weights, by the variables that they are of. */
export type Averages = ReadonlyMap<Variable, Variable>;

/** [...size, in, out] -> [out, in, ...size], the layout that PyTorch gives to the kernel of a convolution. */
function toTorchAxes(rank: number): number[] {
  return [rank - 1, rank - 2, ...Array.from({ length: rank - 2 }, (_, axis) => axis)];
}

function fromTorchAxes(rank: number): number[] {
  return [...Array.from({ length: rank - 2 }, (_, axis) => axis + 2), 1, 0];
}

/** The shape of a parameter in PyTorch. */
export function torchShape({ shape, layout }: ParameterSpec): number[] {
  return layout === 'kernel' ? toTorchAxes(shape.length).map((axis) => shape[axis] as number) : [...shape];
}

export class Model {
  private readonly variables: ReadonlyMap<string, Variable>;
  private readonly buffers: ReadonlyMap<string, Variable>;
  /** All variables, in the order of the network's parameters. */
  readonly all: readonly Variable[];
  /** The variables that an optimizer moves, in the order of their declaration. */
  readonly trained: readonly Variable[];

  /** @param isFrozen whether the parameter of a name stays as it is @default none does */
  constructor(
    readonly network: Network,
    readonly runtime: Runtime,
    isFrozen: (name: string) => boolean = () => false,
  ) {
    this.variables = new Map(network.parameters.map(({ name, shape }) => [name, runtime.variable(name, shape)]));
    this.all = [...this.variables.values()];
    const named = (role: ParameterSpec['role']) =>
      network.parameters.filter((spec) => spec.role === role).map(({ name }) => name);
    this.buffers = new Map(named('buffer').map((name) => [name, this.variable(name)]));
    this.trained = named('trained').flatMap((name) => (isFrozen(name) ? [] : [this.variable(name)]));
  }

  private variable(name: string): Variable {
    return this.variables.get(name) as Variable;
  }

  /** Draws initial values for all parameters; the same seed draws the same. */
  async initialise(seed: number): Promise<void> {
    const program = this.runtime.program({}, () => {
      this.draw(seed);
      return {};
    });
    await program.run({});
  }

  /** What `initialise` does: for the body of a program. */
  draw(seed: number): void {
    const constants = new Constants();
    this.network.parameters.forEach((spec, site) => {
      const { shape, initial } = spec;
      const value =
        initial.kind === 'constant'
          ? constants.filled(shape, initial.value)
          : drawnValue(shape, initial, { seed, site });
      this.variable(spec.name).assign(value);
    });
  }

  /**
   * Takes weights by their PyTorch names. Counters that PyTorch keeps beside running statistics are ignored.
   *
   * @throws UserError naming every missing, unknown or wrongly shaped weight
   */
  async load(weights: Weights): Promise<void> {
    const specs = this.network.parameters;
    const known = new Set([...specs.map(({ name }) => name), ...(this.network.constants?.keys() ?? [])]);
    const defects = [
      ...specs
        .filter(({ name, trainingOnly }) => !trainingOnly && !weights.has(name))
        .map(({ name }) => `${name} is missing`),
      ...[...weights.keys()]
        .filter((name) => !known.has(name) && !name.endsWith(COUNTER))
        .map((name) => `${name} is unknown`),
      ...specs.flatMap((spec) => {
        const given = weights.get(spec.name)?.shape;
        const expected = torchShape(spec);
        return given && given.join() !== expected.join() ? [`${spec.name} is [${given}], expected [${expected}]`] : [];
      }),
    ];
    if (defects.length > 0) {
      const listed = defects.slice(0, 8).join('; ') + (defects.length > 8 ? `; and ${defects.length - 8} more` : '');
      throw new UserError(
        `the weights do not fit the network: ${listed}.`,
        'use weights of the same network, options, channels and classes.',
      );
    }
    await this.loadPart(weights);
  }

  /** Takes those of the weights that the network has, in the shapes that it has; others stay as they are. */
  async loadPart(weights: Weights): Promise<void> {
    const given = this.network.parameters.flatMap((spec): [Variable, Float32Array][] => {
      const { shape, data } = weights.get(spec.name) ?? {};
      if (shape === undefined) return [];
      const values = data as Float32Array;
      const own = spec.layout === 'kernel' ? permute(values, shape, fromTorchAxes(shape.length)) : values;
      return [[this.variable(spec.name), own]];
    });
    await this.runtime.write(new Map(given));
  }

  /**
   * The present values of all variables, in the order of the network's parameters and in its own layouts.
   *
   * @param averages variables to read in place of those that they are averages of
   */
  values(averages: Averages = new Map()): Promise<Float32Array[]> {
    return this.runtime.read(this.all.map((variable) => averages.get(variable) ?? variable));
  }

  /** The network with its present weights as constants: a function of images for a graph of its own. */
  async frozen(): Promise<(images: Tensor) => Tensor> {
    const values = await this.values();
    const constants = new Map(
      this.network.parameters.map(({ name, shape }, index) => [name, { shape, data: values[index] as Float32Array }]),
    );
    const parameter = (name: string) => {
      const { shape, data } = constants.get(name) as { shape: readonly number[]; data: Float32Array };
      return tf.tensor(data, [...shape]);
    };
    return (images) =>
      this.network.forward(images, { training: false, key: outsideOfTraining, assign: outsideOfTraining, parameter });
  }

  /**
   * Logits without dropout, by the running statistics: for the body of a program.
   *
   * @param averages weights to use in place of those that they are averages of
   */
  infer(images: Tensor, averages: Averages = new Map()): Tensor {
    const given = new Map([...averages].map(([variable, average]) => [variable.name, average.read()]));
    return this.network.forward(images, this.pass({ training: false, key: outsideOfTraining }, given));
  }

  /** Logits as `infer` gives them, and maps of where the network has looked: for the body of a program. */
  explain(images: Tensor): { logits: Tensor; maps: Tensor } {
    const { explanation } = this.network;
    if (explanation === undefined) throw new Error('the network cannot say where it has looked');
    return explanation.forward(images, this.pass({ training: false, key: outsideOfTraining }, new Map()));
  }

  /**
   * The loss of a training pass and its gradient with respect to each trained variable: for the body of a program.
   *
   * @param loss of the logits; of a network with deep supervision those of all levels, the finest first
   * @param checkpointing whether parts of the network are computed again for their gradients @default false
   */
  gradients(
    images: Tensor,
    key: Pass['key'],
    loss: (logits: Tensor, levels: readonly Tensor[]) => Tensor,
    checkpointing = false,
  ): { loss: Tensor; gradients: Map<Variable, Tensor> } {
    const values = this.trained.map((variable) => variable.read());
    const result = tf.valueAndGrads((...parameters: Tensor[]) => {
      const named = new Map(this.trained.map((variable, index) => [variable.name, parameters[index] as Tensor]));
      const pass = this.pass({ training: true, checkpointing, key }, named);
      const levels = this.network.levels?.(images, pass) ?? [this.network.forward(images, pass)];
      return loss(levels[0] as Tensor, levels);
    })(values);
    return {
      loss: result.value,
      gradients: new Map(this.trained.map((variable, index) => [variable, result.grads[index] as Tensor])),
    };
  }

  private pass(options: Omit<Pass, 'parameter' | 'assign'>, given: Map<string, Tensor>): Pass {
    const read = new Map(given);
    for (const { name, role } of this.network.parameters) {
      if (role === 'trained' && !read.has(name)) read.set(name, this.variable(name).read());
    }
    return makePass(read, this.buffers, options);
  }
}

/**
 * Values of a network's variables under their PyTorch names and in PyTorch's layouts.
 *
 * @param steps how many batches the running statistics have seen, which PyTorch keeps beside them
 * @param training whether with what is of use to training alone @default false
 */
export function toStateDict(
  { parameters, constants }: Network,
  values: readonly Float32Array[],
  steps: number,
  training = false,
): Weights {
  const weights = new Map<string, Values>();
  parameters.forEach((spec, index) => {
    if (spec.trainingOnly && !training) return;
    const data = values[index] as Float32Array;
    const permuted = spec.layout === 'kernel' ? permute(data, spec.shape, toTorchAxes(spec.shape.length)) : data;
    weights.set(spec.name, { shape: torchShape(spec), data: permuted });
    if (spec.name.endsWith('running_var')) {
      weights.set(spec.name.replace(/running_var$/, COUNTER), { shape: [], data: BigInt64Array.of(BigInt(steps)) });
    }
  });
  for (const [name, value] of constants ?? []) weights.set(name, value());
  return weights;
}

function outsideOfTraining(): never {
  throw new Error('a random number was asked for, or a buffer moved, outside of training');
}

type Drawn = Exclude<ParameterSpec['initial'], { kind: 'constant' }>;

function drawnValue(shape: readonly number[], initial: Drawn, key: { seed: number; site: number }): Tensor {
  switch (initial.kind) {
    case 'uniform':
      return randomUniform(shape, -initial.bound, initial.bound, key);
    case 'normal': {
      const { deviation, repeat = 1 } = initial;
      if (repeat === 1) return randomNormal(shape, deviation, key);
      const drawn = randomNormal([...shape.slice(0, -1), (shape.at(-1) as number) / repeat, 1], deviation, key);
      return drawn.mul(filled([repeat], 1)).reshape([...shape]);
    }
  }
}
