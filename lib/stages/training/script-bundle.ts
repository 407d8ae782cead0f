// A TypeScript or JavaScript program of script mode as one file, with all that it imports but what our image has anyway.
import { readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { BuildFailure } from 'esbuild';
import type { Finding } from '../../pipeline';
import { refusal } from '../checks/checks';

const CODE = /\.[cm]?[jt]sx?$/;

/** Whether the program runs on Node.js, and so on our image. */
export function isNodeScript(entryPoint: string): boolean {
  return CODE.test(entryPoint);
}

/** What the program is called when it is bundled, e.g. train.js for train.ts. */
export function bundleName(entryPoint: string): string {
  return entryPoint.replace(CODE, '.js');
}

/** The packages of our image: native code, which cannot be bundled, and what must not be there twice. */
function packagesOfImage(): string[] {
  const root = dirname(require.resolve('scanline-sagemaker/package.json'));
  const manifest = JSON.parse(readFileSync(join(root, 'containers', 'byoc', 'package.json'), 'utf8'));
  return ['scanline-sagemaker', ...Object.keys(manifest.dependencies)];
}

/** esbuild, where the app has it. */
function loadBundler(): typeof import('esbuild') | undefined {
  try {
    return require('esbuild');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'MODULE_NOT_FOUND') return undefined;
    throw error;
  }
}

/** What is packed instead of the sources: the bundle, and whatever is no code. */
export interface Bundle {
  /** Contents of the files that are made, by their names in the package. */
  readonly made: ReadonlyMap<string, Uint8Array>;
  /** Where the other files lie on this machine, by their names in the package. */
  readonly files: ReadonlyMap<string, string>;
  readonly findings: readonly Finding[];
}

/**
 * Bundles a program; types are not checked.
 *
 * @param files of the source, by their names, as `findSource` finds them
 */
export function bundleScript(
  where: string,
  { sourceDir, entryPoint }: { readonly sourceDir: string; readonly entryPoint: string },
  files: ReadonlyMap<string, string>,
): Bundle {
  const none = (finding: Finding): Bundle => ({ made: new Map(), files, findings: [finding] });
  const bundler = loadBundler();
  if (bundler === undefined) {
    const fix =
      'install it in your app: npm install --save-dev esbuild; or bundle the program yourself, and name the .js file';
    return none(
      refusal(
        where,
        'entryPoint',
        `'${entryPoint}', and esbuild, which bundles it, is not installed`,
        'it with esbuild',
        fix,
      ),
    );
  }
  const root = resolve(sourceDir);
  const name = bundleName(entryPoint);
  try {
    const { outputFiles } = bundler.buildSync({
      absWorkingDir: root,
      entryPoints: [entryPoint],
      outfile: name,
      bundle: true,
      write: false,
      platform: 'node',
      target: 'node20',
      format: 'cjs',
      external: packagesOfImage(),
      // so that a stack trace in the log names the lines of the source
      sourcemap: 'inline',
      sourcesContent: false,
      logLevel: 'silent',
    });
    const others = [...files].filter(
      ([file]) => !CODE.test(file) && !/(^|\/)(package(-lock)?|tsconfig)\.json$/.test(file),
    );
    return {
      made: new Map(outputFiles.map(({ contents }) => [name, contents])),
      files: new Map(others),
      findings: [],
    };
  } catch (error) {
    const { errors = [] } = error as Partial<BuildFailure>;
    if (errors.length === 0) throw error;
    const problems = errors.map(({ text, location }) =>
      location ? `${location.file}:${location.line}: ${text}` : text,
    );
    return none(
      refusal(
        where,
        'entryPoint',
        `'${entryPoint}', which does not bundle: ${problems.join('; ')}`,
        'a program that does',
        'mend it',
      ),
    );
  }
}
