// Values of options, as several commands take them.
import { InvalidArgumentError } from 'commander';

export function positiveInteger(text: string): number {
  const number = Number(text);
  if (Number.isInteger(number) && number > 0) return number;
  throw new InvalidArgumentError('a whole number of at least 1 is needed');
}
