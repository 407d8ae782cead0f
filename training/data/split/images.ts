// The images of class folders, to be split.
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { UserError } from '../../errors';
import { imagesBelow } from '../image-folders';
import type { SplitOptions } from './index';
import { type Collected, grouped } from './item';

/** @throws UserError when there is no image, or one without a group */
export function collectImages({ input, groupBy }: Pick<SplitOptions, 'input' | 'groupBy'>): Collected {
  if (!existsSync(input)) throw new UserError(`there is no folder ${input}.`, 'check the path.');
  const folders = readdirSync(input).filter(
    (name) => !name.startsWith('.') && statSync(join(input, name)).isDirectory(),
  );
  const items = folders.sort().flatMap((className) =>
    imagesBelow(join(input, className)).images.map((path) => {
      const name = relative(input, path);
      return { name, className, files: [{ from: path, to: name }], pictures: [path] };
    }),
  );
  if (items.length === 0)
    throw new UserError(`${input} holds no PNG or JPEG images in class folders.`, 'lay them out as CLASS/*.png.');
  const classes = [...new Set(items.map(({ className }) => className))].sort();
  return { samples: 'images', items: grouped(items, groupBy, 'images'), classes, labels: classes, notes: [] };
}
