// Where Scanline keeps what it fetches and builds once for all checkouts on this machine.
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { UserError } from '../errors';

export type Flavour = 'cpu' | 'gpu';

/**
 * The build that SCANLINE_TENSORFLOW asks for; undefined where it is not set.
 *
 * @throws UserError when it is neither cpu nor gpu
 */
export function flavourOfEnvironment(): Flavour | undefined {
  const asked = process.env.SCANLINE_TENSORFLOW;
  if (asked === undefined || asked === 'cpu' || asked === 'gpu') return asked;
  throw new UserError(`SCANLINE_TENSORFLOW is '${asked}'; allowed are cpu and gpu.`, 'unset it, or set one of these.');
}

/** The folder of the installed package: the one with package.json, both in a checkout and under node_modules. */
export const packageRoot = ((): string => {
  let folder = __dirname;
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder);
  return folder;
})();

/**
 * The cache folder.
 *
 * @default SCANLINE_CACHE, else scanline/ under XDG_CACHE_HOME, else ~/.cache/scanline
 */
export function cacheFolder(): string {
  return process.env.SCANLINE_CACHE ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'scanline');
}
