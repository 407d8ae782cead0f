// Values of options, as several commands take them.
import { InvalidArgumentError } from 'commander';

export function positiveInteger(text: string): number {
  const number = Number(text);
  if (Number.isInteger(number) && number > 0) return number;
  throw new InvalidArgumentError('a whole number of at least 1 is needed');
}

/** Gathers Name=value of an option that may be given again. */
export function collectParameter(text: string, previous: Record<string, string>): Record<string, string> {
  const [, name, value] = /^([^=]+)=(.*)$/.exec(text) ?? [];
  if (name === undefined || value === undefined) throw new InvalidArgumentError('write it as Name=value');
  return { ...previous, [name]: value };
}
