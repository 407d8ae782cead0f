// What a split moves as a whole: an image, or a subject with all its volumes.
import { UserError } from '../../errors';
import type { Part } from '../parts';
import { type GroupKey, grouper } from './groups';

export interface Item {
  /** Path of an image below the input; name of a subject. */
  readonly name: string;
  /** What is spread evenly: the class of an image; the same for all subjects. */
  readonly className: string;
  readonly group: string;
  /** The part that it comes in, where the input has parts. */
  readonly given?: Part;
  /** What is copied, and where to below the part's folder. */
  readonly files: readonly { readonly from: string; readonly to: string }[];
  /** Files that must not stand in two parts. */
  readonly pictures: readonly string[];
}

/** What is to be split. */
export interface Collected {
  readonly samples: 'images' | 'subjects';
  readonly items: readonly Item[];
  /** Classes that each part must have. */
  readonly classes: readonly string[];
  /** Names of the classes by their numbers, where they are known. */
  readonly labels?: readonly string[];
  readonly notes: readonly string[];
}

/** Items with their groups. @throws UserError naming those that the key finds no group for */
export function grouped(
  items: readonly Omit<Item, 'group'>[],
  key: GroupKey | undefined,
  samples: Collected['samples'],
): Item[] {
  const groupOf = grouper(key);
  // parts may number their subjects alike: they are others as long as no key says that they are the same
  const own = ({ name, given }: Omit<Item, 'group'>) => (given === undefined ? name : `${given}/${name}`);
  const found = items.map((item) => ({ ...item, group: (key ? groupOf(item.name) : own(item)) ?? '' }));
  const without = found.filter(({ group }) => group === '');
  if (without.length === 0) return found;
  const shown = without.slice(0, 5).map(({ name }) => name);
  throw new UserError(
    `the group key finds no group for ${without.length} of ${items.length} ${samples}, e.g. ${shown.join(', ')}.`,
    `correct the group key (--group-by; groupBy of a stack) so that it fits ${samples === 'images' ? 'every image' : 'every subject'}.`,
  );
}
