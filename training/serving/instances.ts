// The instances of a request, from its body: a file, JSON, or a line of JSON for each.
import { Refusal } from './refusal';
import type { Instance } from './served-model';

/** Instances of one request; a batch transform sends many. */
const MOST_INSTANCES = 1024;

const FORMS =
  'JSON is {"image": "base64 of a file"}, {"pixels": [[...], ...]}, or a list of such, also as {"instances": [...]}, where pixels may stand by ' +
  'themselves; application/jsonlines has one on each line';

export interface Instances {
  readonly instances: readonly Instance[];
  /** Whether the request was one instance, and not a list of them. */
  readonly single: boolean;
}

function parse(text: string, what: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Refusal(`${what} is not JSON: ${(error as Error).message}. ${FORMS}.`);
  }
}

/** Base64 as RFC 4648 has it, in either alphabet; Buffer.from would pass over anything else. */
const BASE64 = /^[A-Za-z0-9+/_-]+={0,2}$/;

function toInstance(value: unknown, where: string): Instance {
  if (Array.isArray(value)) return { kind: 'pixels', pixels: value };
  const { image, pixels } = (value ?? {}) as { image?: unknown; pixels?: unknown };
  if (typeof image === 'string') {
    const encoded = image.replace(/^data:[^,]*;base64,/, '').replace(/\s+/g, '');
    if (!BASE64.test(encoded)) throw new Refusal(`${where}: \`image\` is not base64 of a file.`);
    return { kind: 'file', bytes: Buffer.from(encoded, 'base64') };
  }
  if (Array.isArray(pixels)) return { kind: 'pixels', pixels };
  throw new Refusal(`${where} has neither an \`image\` nor \`pixels\`. ${FORMS}.`);
}

function limited(values: readonly unknown[]): readonly unknown[] {
  if (values.length === 0) throw new Refusal(`the request has no instance. ${FORMS}.`);
  if (values.length > MOST_INSTANCES)
    throw new Refusal(`the request has ${values.length} instances; at most ${MOST_INSTANCES} are taken at once.`, 413);
  return values;
}

/** @throws Refusal saying what is wrong, and where */
export function readInstances(type: string, body: Buffer): Instances {
  if (body.length === 0) throw new Refusal(`the body is empty. Send a file, or JSON. ${FORMS}.`);
  if (type === 'application/json') {
    const value = parse(body.toString('utf8'), 'the body');
    // a list of rows is pixels
    const isBareList = Array.isArray(value) && !Array.isArray(value[0]);
    const list = isBareList ? value : (value as { instances?: unknown } | null)?.instances;
    if (!Array.isArray(list)) return { instances: [toInstance(value, 'the body')], single: true };
    return { instances: limited(list).map((entry, i) => toInstance(entry, `instances[${i}]`)), single: false };
  }
  if (type === 'application/jsonlines') {
    const lines = body.toString('utf8').split('\n');
    const numbered = lines
      .map((line, i) => ({ line, where: `line ${i + 1}` }))
      .filter(({ line }) => line.trim() !== '');
    limited(numbered);
    return { instances: numbered.map(({ line, where }) => toInstance(parse(line, where), where)), single: false };
  }
  return { instances: [{ kind: 'file', bytes: body }], single: true };
}
