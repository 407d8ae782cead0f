// A step of the image's build: its software bill of materials, in CycloneDX, from npm's own for the packages, Debian's list of what the
// base image has, and the wheels of TensorFlow. It names no time and no random number: the same contents have the same bill.
// https://cyclonedx.org/docs/1.5/json/
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

interface Component {
  readonly type: 'library' | 'platform';
  readonly name: string;
  readonly version: string;
  readonly purl: string;
  readonly 'bom-ref': string;
  readonly hashes?: readonly { readonly alg: 'SHA-256'; readonly content: string }[];
}

interface Bill {
  readonly serialNumber?: string;
  readonly metadata: { readonly timestamp?: string };
  readonly components: readonly Component[];
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[];
}

function component(purl: string, name: string, version: string, type: Component['type'] = 'library'): Component {
  return { 'bom-ref': purl, type, name, version, purl };
}

/** The wheels of a requirements file: one version and one hash on a line. */
function wheelsIn(requirements: string): Component[] {
  return [...requirements.matchAll(/^([\w-]+)==(\S+) --hash=sha256:([0-9a-f]{64})$/gm)].map(
    ([, name = '', version = '', content = '']) => ({
      ...component(`pkg:pypi/${name}@${version}`, name, version),
      hashes: [{ alg: 'SHA-256', content }],
    }),
  );
}

/** The packages of a list of dpkg-query: name, version and architecture, by tabs. */
function debianPackagesIn(list: string): Component[] {
  const lines = list.trim().split('\n');
  return lines.map((line) => {
    const [name = '', version = '', architecture] = line.split('\t');
    return component(`pkg:deb/debian/${name}@${encodeURIComponent(version)}?arch=${architecture}`, name, version);
  });
}

/** The names of the packages in a list of package.json files. */
function packagesIn(list: string): Set<string> {
  return new Set(
    [...list.matchAll(/node_modules\/((?:@[^/\n]+\/)?[^/\n]+)\/package\.json$/gm)].map(([, name = '']) => name),
  );
}

/** The first of those with the same reference: npm's own bill has a package once for each place where it is installed. */
function unique<Entry>(entries: readonly Entry[], referenceOf: (entry: Entry) => string): Entry[] {
  return [...new Map(entries.toReversed().map((entry) => [referenceOf(entry), entry])).values()].toReversed();
}

/** @param parts folder of npm.json and npm-*.json, as `npm sbom` writes them, of shipped.txt, the package.json files that are left, and of debian.tsv */
export function billOfMaterials(parts: string, requirements: string): Bill {
  const read = (file: string) => readFileSync(join(parts, file), 'utf8');
  const { serialNumber, metadata, ...bill }: Bill = JSON.parse(read('npm.json'));
  const { timestamp, ...rest } = metadata;
  const bills = readdirSync(parts)
    .filter((file) => /^npm.*\.json$/.test(file))
    .sort()
    .map((file): Bill => JSON.parse(read(file)));
  const components = bills.flatMap((part) => part.components);
  const dependencies = bills.flatMap((part) => part.dependencies);
  const shipped = packagesIn(read('shipped.txt'));
  const left = new Set(components.filter(({ name }) => !shipped.has(name)).map((component) => component['bom-ref']));
  const node = process.version.slice(1);
  const all = [
    ...components.filter((component) => !left.has(component['bom-ref'])),
    component(`pkg:generic/node@${node}`, 'node', node, 'platform'),
    ...wheelsIn(readFileSync(requirements, 'utf8')),
    ...debianPackagesIn(read('debian.tsv')),
  ];
  const links = dependencies
    .filter(({ ref }) => !left.has(ref))
    .map(({ ref, dependsOn }) => ({ ref, dependsOn: [...new Set(dependsOn.filter((other) => !left.has(other)))] }));
  return {
    ...bill,
    metadata: rest,
    components: unique(all, (component) => component['bom-ref']),
    dependencies: unique(links, ({ ref }) => ref),
  };
}

if (require.main === module) {
  const [tensorflow, parts = ''] = process.argv.slice(2);
  const bill = billOfMaterials(parts, join('training', 'native', `requirements-${tensorflow}.txt`));
  process.stdout.write(`${JSON.stringify(bill, null, 2)}\n`);
}
