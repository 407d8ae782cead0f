// Values of options, as several commands take them.
import { InvalidArgumentError } from 'commander';

export function positiveInteger(text: string): number {
  const number = Number(text);
  if (Number.isInteger(number) && number > 0) return number;
  throw new InvalidArgumentError('a whole number of at least 1 is needed');
}

/** Gathers the values of an option that may be given again. */
export function collect(text: string, previous: readonly string[] = []): string[] {
  return [...previous, text];
}

/** Gathers Name=value of an option that may be given again. */
export function collectParameter(text: string, previous: Record<string, string>): Record<string, string> {
  const [, name, value] = /^([^=]+)=(.*)$/.exec(text) ?? [];
  if (name === undefined || value === undefined) throw new InvalidArgumentError('write it as Name=value');
  return { ...previous, [name]: value };
}

const UNITS = { d: 86_400, h: 3600, m: 60, s: 1 } as const;

/** Seconds from `90s`, `45m`, `1h30m`, or DD:HH:MM:SS as Lightning takes it. */
export function duration(text: string): number {
  const clock = /^(\d+):(\d\d):(\d\d):(\d\d)$/.exec(text);
  const parts = clock
    ? clock.slice(1).map((number, i) => [number, 'dhms'[i]] as const)
    : [...text.matchAll(/(\d+(?:\.\d+)?)([dhms])/g)].map(([, number, unit]) => [number, unit] as const);
  const seconds = parts.reduce((sum, [number, unit]) => sum + Number(number) * UNITS[unit as keyof typeof UNITS], 0);
  const whole = clock || /^(\d+(\.\d+)?[dhms])+$/.test(text);
  if (whole && seconds > 0) return seconds;
  throw new InvalidArgumentError(
    'a duration is needed, as 90s, 45m, 1h30m or 00:01:30:00 (days, hours, minutes, seconds)',
  );
}
