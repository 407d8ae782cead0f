// Weights that follow from their name, shape and position: what test/oracle/training/formula_weights.py gives to MONAI's networks.
import type { Values } from '../../../training/compiler/runtime';

/** Numbers in [0, 1) that look random: a hash of the name and of the position in PyTorch's layout. */
function unit(name: string, count: number): Float32Array {
  let seed = 0;
  for (const character of name) seed = (Math.imul(seed, 31) + character.charCodeAt(0)) >>> 0;
  return Float32Array.from({ length: count }, (_, index) => {
    let value = (Math.imul(index, 2654435761) + seed) >>> 0;
    for (let round = 0; round < 2; round++) value = Math.imul(value ^ (value >>> 16), 0x45d9f3b) >>> 0;
    return ((value ^ (value >>> 16)) >>> 0) / 2 ** 32;
  });
}

export function formulaWeight(name: string, shape: readonly number[]): Values {
  const product = (lengths: readonly number[]) => lengths.reduce((size, length) => size * length, 1);
  const count = product(shape);
  const value = (spread: number) => {
    if (shape.length >= 2) return spread * Math.sqrt(3 / product(shape.slice(1)));
    if (name.endsWith('running_var')) return 1 + spread / 4;
    if (count === 1) return 0.25 + spread / 10;
    return spread / 4 + (name.endsWith('weight') ? 1 : 0);
  };
  return { shape, data: unit(name, count).map((share) => value(2 * share - 1)) };
}

/** Uniform values with a deviation of 1. */
export function draw(name: string, shape: readonly number[]): Values {
  const count = shape.reduce((size, length) => size * length, 1);
  return { shape, data: unit(name, count).map((share) => Math.sqrt(3) * (2 * share - 1)) };
}

/** As many values as are wanted, at equal distances. */
export function sample(values: Float32Array, wanted: number): Float32Array {
  const step = Math.ceil(values.length / wanted);
  return Float32Array.from({ length: Math.ceil(values.length / step) }, (_, index) => values[index * step] as number);
}
