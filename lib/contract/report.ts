// The findings as text: a line for each point, and below it what the contract says and how what is broken is mended.
import type { Finding, Verdict } from './points';

const SIGNS: Readonly<Record<Verdict, string>> = { pass: '✓', fail: '✗', hint: '!', skipped: '-' };

const WIDTH = 30;

export function describeFinding({ verdict, point, seen, contract, source, fix }: Finding): string {
  const line = `${SIGNS[verdict]} ${point.padEnd(WIDTH)} ${verdict === 'skipped' ? `skipped: ${seen}` : seen}`;
  if (verdict === 'pass' || verdict === 'skipped') return line;
  return `${line}\n    Contract: ${contract}.\n      (${source})\n    Fix: ${fix}`;
}

export function summarise(findings: readonly Finding[]): string {
  const count = (verdict: Verdict) => findings.filter((finding) => finding.verdict === verdict).length;
  const [broken, kept] = [count('fail'), count('pass')];
  const rest = `${kept} kept, ${count('hint')} hints, ${count('skipped')} skipped`;
  return broken > 0 ? `✗ ${broken} of the contract's points are broken; ${rest}` : `✓ no point is broken; ${rest}`;
}
