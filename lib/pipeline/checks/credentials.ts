// Credentials where anyone who may describe a job can read them. No finding repeats one.
import type { ParameterDefinition, StepDefinition } from '../definition';
import type { Finding } from '../errors';
import { type Context, fields, inStep, list } from './context';

/** What credentials look like. */
const PATTERNS: readonly (readonly [string, RegExp])[] = [
  ['an AWS access key', /\b(AKIA|ASIA)[A-Z0-9]{16}\b/],
  ['a GitHub token', /\b(gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{22,})/],
  ['a Hugging Face token', /\bhf_[A-Za-z0-9]{30,}\b/],
  ['a Weights & Biases key', /\b(wandb_v1_[A-Za-z0-9_]{20,}|local-[0-9a-f]{40})\b/],
  ['a private key', /-----BEGIN [A-Z ]*PRIVATE KEY-----/],
];

/** What credentials are called, in hyperparameters and environments. */
const NAMES: readonly (readonly [string, RegExp])[] = [
  ['an AWS credential', /^aws_(access_key_id|secret_access_key|session_token)$/i],
  ['a Weights & Biases key', /^wandb_(api_)?key$/i],
  ['a Hugging Face token', /^(hf|hugging_?face)(_hub)?_(api_)?token$/i],
  ['a GitHub token', /^(gh|github)_(token|pat)$/i],
  ['a credential', /(^|[_-])(password|passwd|api[_-]?key|secret[_-]?key|access[_-]?token|auth[_-]?token)$/i],
];

/** What may stand under such a name: where the secret lies instead of the secret. */
const POINTER = /^($|arn:|\{\{resolve:)/;

const FIX =
  'keep it in AWS Secrets Manager, give the job the ARN of the secret, and let it read the secret when it starts.';

/** Characters of the shortest thing that PATTERNS finds: an access key. Most values are shorter, and need no look. */
const SHORTEST = 20;

/** What a name says, found once: the steps of a pipeline share theirs. */
const known = new Map<string, string | undefined>();

function saidByName(name: string): string | undefined {
  if (!known.has(name)) known.set(name, NAMES.find(([, pattern]) => pattern.test(name))?.[0]);
  return known.get(name);
}

function credentialIn(name: string, value: unknown): string | undefined {
  if (typeof value !== 'string') return undefined;
  const looks = value.length < SHORTEST ? undefined : PATTERNS.find(([, pattern]) => pattern.test(value))?.[0];
  if (looks !== undefined) return looks;
  const said = saidByName(name);
  return said === undefined || POINTER.test(value) || value.includes('${Token[') ? undefined : said;
}

const NAMED: ReadonlySet<string> = new Set(['HyperParameters', 'StaticHyperParameters', 'Environment']);
const WORDS: ReadonlySet<string> = new Set(['ContainerArguments', 'ContainerEntrypoint', 'Args']);

/** Hyperparameters, environments and command lines, wherever in the arguments they are. */
function checkPart(step: StepDefinition, value: unknown, path: string, findings: Finding[]): void {
  if (typeof value !== 'object' || value === null) return;
  for (const key of Object.keys(value)) {
    const entry = (value as Record<string, unknown>)[key];
    if (typeof entry !== 'object' || key === 'IfSteps' || key === 'ElseSteps') continue;
    const at = path === '' ? key : `${path}.${key}`;
    const named = NAMED.has(key);
    const words = WORDS.has(key);
    const entries = named ? Object.entries(fields(entry)) : words ? list(entry).map((word) => ['', word] as const) : [];
    for (const [name, text] of entries) {
      const what = credentialIn(name, text);
      if (what !== undefined)
        findings.push(inStep(step, `its ${name === '' ? at : `${at}.${name}`} has ${what}, for all to read.`, FIX));
    }
    if (!named && !words) checkPart(step, entry, at, findings);
  }
}

export function checkCredentials({ all, definition }: Context): Finding[] {
  const findings: Finding[] = [];
  for (const step of all) checkPart(step, step.Arguments, '', findings);
  for (const { Name, DefaultValue } of (definition.Parameters ?? []) as ParameterDefinition[]) {
    const what = credentialIn(Name, DefaultValue);
    if (what === undefined) continue;
    findings.push({ where: `parameter ${Name}`, problem: `its default has ${what}, for all to read.`, fix: FIX });
  }
  return findings;
}
