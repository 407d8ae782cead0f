// Random numbers outside of TensorFlow: drawn from keys, so that the same (seed, epoch, image) always gives the same.

/** Mixes whole numbers into one that looks like none of them (the finaliser of MurmurHash3, public domain). */
export function mix(...keys: readonly number[]): number {
  let hash = 0;
  for (const key of keys) {
    hash = Math.imul(hash ^ key, 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
    hash = (hash ^ (hash >>> 16)) + 0x9e3779b9;
  }
  return hash >>> 0;
}

/** Numbers in [0, 1), one a call. */
export type RandomSource = () => number;

/** A source of numbers by mulberry32 (public domain). */
export function randomSource(...keys: readonly number[]): RandomSource {
  let state = mix(...keys);
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let word = Math.imul(state ^ (state >>> 15), state | 1);
    word ^= word + Math.imul(word ^ (word >>> 7), word | 61);
    return ((word ^ (word >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Evenly from `low` to `high`. */
export function between(random: RandomSource, low: number, high: number): number {
  return low + random() * (high - low);
}

/** From the normal distribution of mean 0 and deviation 1 (Box and Muller, 1958). */
export function normal(random: RandomSource): number {
  const [radius, angle] = [Math.sqrt(-2 * Math.log(1 - random())), 2 * Math.PI * random()];
  return radius * Math.cos(angle);
}

/** The items in random order (Fisher and Yates). */
export function shuffled<Item>(items: readonly Item[], random: () => number): Item[] {
  const result = [...items];
  for (let last = result.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1));
    [result[last], result[other]] = [result[other] as Item, result[last] as Item];
  }
  return result;
}
