// What the constructs cost: synth, in this process, of TrainingStack and of the same stack written by hand with CDK's own constructs
// and one JSON string. They take turns; that both make the same
// template is for test/bench/by-hand-stack.test.ts to see to. Target: at most 10 % more.
// usage: node dist/bench/synth.js [ROUNDS]
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { App } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { TrainingStack } from '../lib';
import { byHand, definitionIn, type Template as SynthesisedTemplate } from './by-hand-stack';

/** Milliseconds, of the clock and of the processor. */
interface Taken {
  readonly clock: number;
  readonly processor: number;
}

function synthesize(make: (app: App) => void): Taken {
  const outdir = mkdtempSync(join(tmpdir(), 'scanline-synth-'));
  try {
    const start = performance.now();
    const before = process.cpuUsage();
    const app = new App({ outdir, context: { '@aws-cdk/aws-iam:minimizePolicies': true } });
    make(app);
    app.synth();
    const { user, system } = process.cpuUsage(before);
    return { clock: performance.now() - start, processor: (user + system) / 1000 };
  } finally {
    rmSync(outdir, { recursive: true, force: true });
  }
}

const rounds = Number(process.argv[2] ?? 30);
const constructs = (app: App) => void new TrainingStack(app, 'Test');
const definition = definitionIn(
  Template.fromStack(new TrainingStack(new App(), 'Test')).toJSON() as SynthesisedTemplate,
);
const hand = (app: App) => byHand(app, definition);
for (const make of [constructs, hand]) for (let round = 0; round < 3; round++) synthesize(make);

const taken = { constructs: [] as Taken[], hand: [] as Taken[] };
for (let round = 0; round < rounds; round++) {
  // each goes first in every other round: what the first leaves to collect is the second's to pay
  if (round % 2 === 0) taken.constructs.push(synthesize(constructs));
  taken.hand.push(synthesize(hand));
  if (round % 2 === 1) taken.constructs.push(synthesize(constructs));
}
const median = (values: readonly number[]) => [...values].sort((a, b) => a - b)[values.length >> 1] as number;
for (const what of ['clock', 'processor'] as const) {
  const [ours, theirs] = [taken.constructs, taken.hand].map((all) => median(all.map((one) => one[what]))) as [
    number,
    number,
  ];
  process.stdout.write(
    `${what}: TrainingStack ${ours.toFixed(1)} ms, by hand ${theirs.toFixed(1)} ms: ${(ours / theirs).toFixed(2)}x (target: at most 1.10x)\n`,
  );
}
