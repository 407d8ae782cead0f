// Results as the bodies of answers, for every model alike.
import { Refusal } from './refusal';

/** Results as JSON, one object or a list of predictions, or as a line of JSON each. */
export function writeJson(results: readonly unknown[], type: string, single: boolean): Buffer {
  if (type === 'application/jsonlines')
    return Buffer.from(`${results.map((result) => JSON.stringify(result)).join('\n')}\n`);
  return Buffer.from(JSON.stringify(single ? results[0] : { predictions: results }));
}

/** The one file that was asked for. @throws Refusal where there are several */
export function onlyFile(files: readonly (Buffer | undefined)[], type: string): Buffer {
  const [file] = files;
  if (file !== undefined && files.length === 1) return file;
  throw new Refusal(
    `${type} has room for one instance; the request has ${files.length}. Ask for JSON, or for each alone.`,
    406,
  );
}
