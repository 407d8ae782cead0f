// All that the package exports has a doc comment: each symbol, each prop, each public member. Read off the declarations that
// tsc writes, one member a line; `npm run docs` makes the API reference of the same comments.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { test } from 'node:test';
import { packageRoot } from '../../training/native/cache';

const ROOT = join(packageRoot, 'dist');

interface Declaration {
  readonly name: string;
  readonly file: string;
  readonly documented: boolean;
  /** A constant or function: what it consists of is not declared here. */
  readonly isValue: boolean;
  /** What it inherits from. */
  readonly parents: readonly string[];
  /** Whether each member is documented. */
  readonly members: ReadonlyMap<string, boolean>;
}

const DECLARATION =
  /^(?:export )?(?:declare )?(?:abstract )?(?:class|interface|type|const|function) (\w+)(?:<.*?>)?(?: extends (.*?))?(?: implements (.*?))? ?[{=:(]/;
const MEMBER = /^ {4}(?!private|protected|constructor|declare)(?:(?:readonly|static|abstract|get|set) )*(\w+)\??[(:<;]/;

/** What a file of declarations declares at its top. */
function declarationsOf(file: string): Declaration[] {
  const found: (Declaration & { members: Map<string, boolean> })[] = [];
  let documented = false;
  for (const line of readFileSync(file, 'utf8').split('\n')) {
    const [, name, base = '', implemented = ''] = DECLARATION.exec(line) ?? [];
    const [, member] = MEMBER.exec(line) ?? [];
    const last = found.at(-1);
    if (name !== undefined) {
      const parents = `${base},${implemented}`.replaceAll(/<.*>/g, '').split(/,\s*/);
      const isValue = /\b(const|function) /.test(line);
      found.push({ name, file, documented, isValue, parents, members: new Map() });
      // overloads, and a getter with its setter, share one comment
    } else if (member !== undefined && last && !last.isValue)
      last.members.set(member, documented || last.members.get(member) === true);
    documented = line.trimEnd().endsWith('*/');
  }
  return found;
}

const declarations = ['lib', 'training']
  .flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' }).map((file) => join(folder, file)),
  )
  .filter((file) => file.endsWith('.d.ts'))
  .flatMap((file) => declarationsOf(join(ROOT, file)));

/** Names that a file exports, with the file that declares each. */
function exportsOf(file: string): [name: string, file: string][] {
  const text = readFileSync(file, 'utf8');
  const at = (module: string) =>
    [`${module}.d.ts`, `${module}/index.d.ts`].map((name) => join(dirname(file), name)).find(existsSync) as string;
  return [
    ...[...text.matchAll(/^export (?:declare |abstract )*(?:class|interface|type|const|function) (\w+)/gm)].map(
      ([, name]): [string, string] => [name as string, file],
    ),
    ...[...text.matchAll(/^export \* from '(\..*?)'/gm)].flatMap(([, module]) => exportsOf(at(module as string))),
    ...[...text.matchAll(/^export (?:type )?\{([^}]*)\} from '(\..*?)'/gm)].flatMap(([, names = '', module]) =>
      names
        .split(',')
        .map((name) => name.replace(/^\s*(type )?/, '').trim())
        .filter((name) => name !== '')
        .map((name) => exportsOf(at(module as string)).find(([exported]) => exported === name) as [string, string]),
    ),
  ];
}

function isInherited(member: string, { parents }: Declaration): boolean {
  return parents.some((parent) =>
    declarations.some(
      (declaration) =>
        declaration.name === parent && (declaration.members.get(member) === true || isInherited(member, declaration)),
    ),
  );
}

for (const entry of ['lib/index', 'lib/nag/index', 'lib/local/index', 'lib/pipeline/index', 'training/index']) {
  test(`scanline-sagemaker/${entry}: all that it exports has a doc comment`, () => {
    const exported = exportsOf(join(ROOT, `${entry}.d.ts`));
    assert.ok(exported.length > 0);
    const bare = exported.flatMap(([name, file]) => {
      const declaration = declarations.find((one) => one.name === name && one.file === file);
      assert.ok(declaration, `${name} of ${file} was not found`);
      const members = [...declaration.members]
        .filter(([member, documented]) => !documented && !isInherited(member, declaration))
        .map(([member]) => `${name}.${member}`);
      return [...(declaration.documented ? [] : [name]), ...members].map((what) => `${relative(ROOT, file)}: ${what}`);
    });
    assert.deepEqual(bare, []);
  });
}
