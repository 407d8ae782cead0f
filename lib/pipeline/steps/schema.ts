// The shapes of SageMaker's requests and responses, as the AWS SDK has them at run time: what may be referred to, and what must be given.
import * as sdk from '@aws-sdk/client-sagemaker';

export type LeafKind = 'text' | 'number' | 'boolean' | 'any';

export interface Leaf {
  readonly kind: LeafKind;
}

export interface List {
  readonly kind: 'list';
  readonly item: Shape;
}

export interface Mapping {
  readonly kind: 'map';
  readonly value: Shape;
}

/** Members are looked up only when they are asked for: shapes may hold themselves. */
export interface Structure {
  readonly kind: 'structure';
  /** Of the API, e.g. ResourceConfig. */
  readonly name: string;
  readonly members: readonly string[];
  readonly required: readonly string[];
  member(name: string): Shape | undefined;
}

export type Shape = Leaf | List | Mapping | Structure;

export const TEXT: Leaf = { kind: 'text' };
export const ANY: Leaf = { kind: 'any' };

/** A shape that the SDK does not have. */
export function structure(
  name: string,
  members: Readonly<Record<string, Shape>>,
  required: readonly string[] = [],
): Structure {
  return { kind: 'structure', name, members: Object.keys(members), required, member: (key) => members[key] };
}

/** A structure with the members of several. */
export function merged(...parts: readonly Structure[]): Structure {
  const member = (key: string) => parts.map((part) => part.member(key)).find((shape) => shape !== undefined);
  const of = (pick: (part: Structure) => readonly string[]) => [...new Set(parts.flatMap(pick))];
  return {
    kind: 'structure',
    name: parts.map(({ name }) => name).join(' and '),
    members: of(({ members }) => members),
    required: of(({ required }) => required),
    member,
  };
}

/** A structure of the AWS SDK, e.g. CreateTrainingJobRequest. */
export function sdkStructure(name: string): Structure {
  return read((sdk as Record<string, unknown>)[`${name}$`]) as Structure;
}

const enumerations = new Map<string, ReadonlySet<string>>();

/** Values of an enumeration of the AWS SDK, e.g. TrainingInstanceType; none where it has no such enumeration. */
export function sdkEnumeration(name: string): ReadonlySet<string> {
  const before = enumerations.get(name);
  if (before) return before;
  const values = new Set(Object.values((sdk as unknown as Record<string, Record<string, string>>)[name] ?? {}));
  enumerations.set(name, values);
  return values;
}

/** Smithy's numbers of shapes: https://github.com/smithy-lang/smithy-typescript/tree/main/packages/types/src/schema */
const SIMPLE = 0;
const LIST = 1;
const MAP = 2;
const STRUCTURE = 3;
const UNION = 4;
const LIST_OF = 64;
const MAP_OF = 128;
const LEAVES: Readonly<Record<number, LeafKind>> = { 0: 'text', 1: 'number', 2: 'boolean', 17: 'number', 19: 'number' };

const known = new Map<unknown, Shape>();

function read(schema: unknown): Shape {
  if (typeof schema === 'number') return readNumber(schema);
  if (typeof schema === 'function') return read(schema());
  if (!Array.isArray(schema)) return ANY;
  const before = known.get(schema);
  if (before) return before;
  const shape = readArray(schema);
  known.set(schema, shape);
  return shape;
}

function readNumber(schema: number): Shape {
  if (schema & MAP_OF) return { kind: 'map', value: readNumber(schema - MAP_OF) };
  if (schema & LIST_OF) return { kind: 'list', item: readNumber(schema - LIST_OF) };
  return { kind: LEAVES[schema] ?? 'any' };
}

function readArray(schema: readonly unknown[]): Shape {
  const [kind, , name, , fourth, fifth, required] = schema;
  if (kind === SIMPLE) return read(fourth);
  if (kind === LIST) {
    return {
      kind: 'list',
      get item() {
        return read(fourth);
      },
    };
  }
  if (kind === MAP) {
    return {
      kind: 'map',
      get value() {
        return read(fifth);
      },
    };
  }
  if (kind !== STRUCTURE && kind !== UNION) return ANY;
  const members = fourth as readonly string[];
  const schemas = new Map(members.map((member, index) => [member, (fifth as readonly unknown[])[index]]));
  const shapes = new Map<string, Shape>();
  return {
    kind: 'structure',
    name: name as string,
    members,
    // the SDK lists the required members first
    required: members.slice(0, (required as number | undefined) ?? 0),
    member: (key) => {
      const before = shapes.get(key);
      if (before || !schemas.has(key)) return before;
      const shape = read(schemas.get(key));
      shapes.set(key, shape);
      return shape;
    },
  };
}
