// Folds for cross-validation: the same mixture of classes in each, and what belongs together in one.
import { UserError } from '../errors';
import { randomSource, shuffled } from './random';

export interface FoldOptions<Item> {
  /** How many folds. */
  readonly count: number;
  readonly seed: number;
  /** What each fold has the same share of: the class. @default all items are of one kind */
  readonly stratumOf?: (item: Item) => string | number;
  /** Items of one group are in one fold: those of a patient. @default each is a group of its own */
  readonly groupOf?: (item: Item) => string | number;
}

/**
 * The items of each fold, in their order. The same items, seed and count give the same folds.
 *
 * Groups are dealt out one by one, large ones first, each to the fold that lacks most of what it holds.
 *
 * @throws UserError when there are fewer groups than folds
 */
export function foldsOf<Item>(items: readonly Item[], options: FoldOptions<Item>): Item[][] {
  const { count, seed, stratumOf = () => 0, groupOf } = options;
  const groups = new Map<unknown, Item[]>();
  for (const item of items) {
    const key = groupOf?.(item) ?? item;
    groups.set(key, [...(groups.get(key) ?? []), item]);
  }
  if (groups.size < count) {
    throw new UserError(
      `num_folds is ${count}, but there are only ${groups.size} ${groupOf ? 'groups' : 'images'} to train on.`,
      'ask for fewer folds, or give more data.',
    );
  }
  const strata = [...new Set(items.map(stratumOf))];
  const share = (stratum: string | number) => items.filter((item) => stratumOf(item) === stratum).length / count;
  const lacking = Array.from({ length: count }, () => new Map(strata.map((stratum) => [stratum, share(stratum)])));
  const room = Array.from({ length: count }, () => items.length / count);
  const foldOf = new Map<Item, number>();
  const order = shuffled([...groups.values()], randomSource(seed, count)).sort((a, b) => b.length - a.length);
  for (const members of order) {
    const needs = lacking.map((of) => members.reduce((sum, item) => sum + (of.get(stratumOf(item)) as number), 0));
    const better = (a: number, b: number) =>
      (needs[a] as number) - (needs[b] as number) || (room[a] as number) - (room[b] as number);
    const best = needs.map((_, fold) => fold).reduce((a, b) => (better(b, a) > 0 ? b : a));
    room[best] = (room[best] as number) - members.length;
    for (const item of members) {
      foldOf.set(item, best);
      const of = lacking[best] as Map<string | number, number>;
      of.set(stratumOf(item), (of.get(stratumOf(item)) as number) - 1);
    }
  }
  return Array.from({ length: count }, (_, fold) => items.filter((item) => foldOf.get(item) === fold));
}
