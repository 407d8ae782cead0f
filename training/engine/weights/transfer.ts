// Fine-tuning: which weights of another training a network takes, which of them stay frozen, and which learn more slowly.
import { existsSync, statSync } from 'node:fs';
import { UserError } from '../../errors';
import type { Hyperparameters } from '../../hyperparameters';
import { buildNetwork, type NetworkShape } from '../../models';
import type { Network } from '../../models/network';
import { findArtifact, readWeights } from '../artifact';
import { torchShape, type Weights } from '../model';
import { readSafetensors } from './safetensors';

/** Parameters that may differ from those of another training: they depend on the classes, or on the channels of the images. */
export interface Replaceable {
  readonly head: ReadonlySet<string>;
  readonly stem: ReadonlySet<string>;
}

/** Found by building the network for one class and one channel more. */
export function replaceable(hyperparameters: Hyperparameters, shape: NetworkShape): Replaceable {
  const shapes = (other: NetworkShape) =>
    new Map(buildNetwork(hyperparameters, other).parameters.map((spec) => [spec.name, spec.shape.join()]));
  const own = shapes(shape);
  const changed = (other: Map<string, string>) =>
    new Set([...own.keys()].filter((name) => own.get(name) !== other.get(name)));
  return {
    head: changed(shapes({ ...shape, classes: shape.classes + 1 })),
    stem: changed(shapes({ ...shape, inChannels: shape.inChannels + 1 })),
  };
}

/**
 * The weights by the network's own names: without what a wrapper has put before them, as DataParallel's `module.`, or the name by which
 * Lightning's module holds the network, and without what lies outside of that. Only the network tells: all names of MONAI's UNet begin with `model.`, which is no wrapper's.
 */
export function unwrapped(weights: Weights, network: Network): Weights {
  const hits = new Map([['', 0]]);
  for (const { name } of network.parameters)
    for (const given of weights.keys()) {
      const prefix = given.slice(0, given.length - name.length);
      if (given.endsWith(name) && (prefix === '' || prefix.endsWith('.')))
        hits.set(prefix, (hits.get(prefix) ?? 0) + 1);
    }
  const [prefix] = [...hits].reduce((best, other) => (other[1] > best[1] ? other : best));
  return new Map(
    [...weights].flatMap(([name, values]) => (name.startsWith(prefix) ? [[name.slice(prefix.length), values]] : [])),
  );
}

/** @throws UserError when there is no such file or model */
export async function readPretrained(path: string): Promise<Weights> {
  if (!existsSync(path)) {
    throw new UserError(
      `there are no weights ${path} to start from.`,
      'give the path of a .safetensors file, or of a model folder, to pretrained.',
    );
  }
  if (statSync(path).isDirectory()) return readWeights(findArtifact(path));
  return readSafetensors(path);
}

export interface Transfer {
  /** What the network takes. */
  readonly taken: Weights;
  /** Parameters of the head or the first layer that begin anew, and why. */
  readonly fresh: readonly string[];
  /** Weights that the network has no use for. */
  readonly unused: readonly string[];
}

/**
 * Compares weights with a network.
 *
 * @throws UserError naming every weight outside of the head and the first layer that is missing or of another shape
 */
export function planTransfer(network: Network, given: Weights, { head, stem }: Replaceable, from: string): Transfer {
  const weights = unwrapped(given, network);
  const taken = new Map<string, NonNullable<ReturnType<Weights['get']>>>();
  const [fresh, defects]: [string[], string[]] = [[], []];
  for (const spec of network.parameters) {
    const values = weights.get(spec.name);
    const expected = torchShape(spec).join();
    if (values?.shape.join() === expected) {
      taken.set(spec.name, values);
      continue;
    }
    const problem = values ? `${spec.name} is [${values.shape}], expected [${expected}]` : `${spec.name} is missing`;
    (head.has(spec.name) || stem.has(spec.name) ? fresh : defects).push(problem);
  }
  if (defects.length > 0) {
    const listed = defects.slice(0, 8).join('; ') + (defects.length > 8 ? `; and ${defects.length - 8} more` : '');
    throw new UserError(
      `${from} does not fit the network beyond its head and first layer: ${listed}.`,
      'use weights of the same network with the same options; only the classes and the channels may be others.',
    );
  }
  const known = new Set([...network.parameters.map(({ name }) => name), ...(network.constants?.keys() ?? [])]);
  const unused = [...weights.keys()].filter((name) => !known.has(name) && !name.endsWith('num_batches_tracked'));
  return { taken, fresh, unused };
}

const list = (names: readonly string[]) =>
  names.slice(0, 6).join('; ') + (names.length > 6 ? `; and ${names.length - 6} more` : '');

/** What a person should know of a transfer, a line each. */
export function describeTransfer({ taken, fresh, unused }: Transfer, from: string): string[] {
  return [
    `pretrained: ${taken.size} tensors taken from ${from}`,
    ...(fresh.length > 0 ? [`pretrained: ${fresh.length} begin anew: ${list(fresh)}`] : []),
    ...(unused.length > 0 ? [`pretrained: ${unused.length} were left: ${list(unused)}`] : []),
  ];
}

/** What a person should know of weights that begin anew and are never taught, a line each. */
export function describeUntaught({ fresh }: Transfer, frozen: ReadonlySet<string>): string[] {
  const untaught = fresh.map((problem) => problem.split(' ')[0] as string).filter((name) => frozen.has(name));
  return untaught.length === 0
    ? []
    : [`warning: frozen as they were drawn, for they begin anew: ${list(untaught)}; leave them out of freeze`];
}

/** A plain name stands for itself and all below it; anything else is a regular expression. */
function matcher(pattern: string): (name: string) => boolean {
  if (/^[\w.]+$/.test(pattern)) {
    const path = pattern.replace(/\.$/, '');
    return (name) => name === path || name.startsWith(`${path}.`);
  }
  try {
    const regex = new RegExp(pattern);
    return (name) => regex.test(name);
  } catch (error) {
    throw new UserError(
      `freeze: '${pattern}' is not a regular expression: ${(error as Error).message}.`,
      'correct it.',
    );
  }
}

/**
 * The trained parameters that stay as they are.
 *
 * @param patterns prefixes (features.conv0) or regular expressions, separated by commas
 * @throws UserError for a pattern that finds nothing, or when nothing is left to learn
 */
export function frozenParameters(network: Network, patterns: string): ReadonlySet<string> {
  const names = network.parameters.filter(({ role }) => role === 'trained').map(({ name }) => name);
  const asked = patterns.split(',').map((pattern) => pattern.trim());
  const found = asked
    .filter((pattern) => pattern !== '')
    .map((pattern) => ({ pattern, hits: names.filter(matcher(pattern)) }));
  const idle = found.filter(({ hits }) => hits.length === 0).map(({ pattern }) => pattern);
  const top = [...new Set(names.map((name) => name.split('.').slice(0, 2).join('.')))];
  if (idle.length > 0) {
    throw new UserError(`freeze: no parameter is called ${idle.join(' or ')}.`, `parameters begin with: ${list(top)}.`);
  }
  const frozen = new Set(found.flatMap(({ hits }) => hits));
  if (frozen.size === names.length)
    throw new UserError(
      'freeze leaves nothing to learn: it names every parameter.',
      `leave out the head, ${names.at(-1)}.`,
    );
  return frozen;
}
