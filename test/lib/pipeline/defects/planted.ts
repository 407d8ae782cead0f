// Plants a defect into a whole pipeline, one that has a step of every type.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { check, Pipeline } from '../../../../lib/pipeline';
import { ALL, MODE } from '../whole-steps';

export interface Changeable {
  // biome-ignore lint/suspicious/noExplicitAny: any part of a definition is made wrong here
  [key: string]: any;
}

export interface Whole extends Changeable {
  Parameters: Changeable[];
  Steps: Changeable[];
}

/** The definition, as text. */
export const whole = JSON.stringify(new Pipeline('p', { parameters: [MODE], steps: ALL }).definition());

/** A copy of the whole pipeline, with a change to the arguments of one step, or to the step or all of it. */
export function changed(name: string, change: (args: Changeable, step: Changeable, definition: Whole) => void) {
  const definition = JSON.parse(whole) as Whole;
  const step = definition.Steps.find(({ Name }) => Name === name) as Changeable;
  change(step.Arguments, step, definition);
  return check(definition);
}

export type Change = Parameters<typeof changed>[1];

export interface Planted {
  readonly step: string;
  readonly change: Change;
  readonly problem: RegExp;
  readonly fix: RegExp;
  /** @default the step */
  readonly where?: string;
}

export const parameter = (Type: string, DefaultValue: unknown) => ({ Name: 'Planted', Type, DefaultValue });
export const PLANTED = { Get: 'Parameters.Planted' };
export const strategy = (args: Changeable) => args.HyperParameterTuningJobConfig;

/** One defect planted gives one finding, of the step, with the fix. */
export function testDefects(defects: Readonly<Record<string, Planted>>): void {
  for (const [what, { step, change, problem, fix, where = `step ${step}` }] of Object.entries(defects)) {
    test(`${what} is the one finding`, () => {
      const findings = changed(step, change);
      assert.equal(findings.length, 1, JSON.stringify(findings, null, 1));
      assert.equal(findings[0]?.where, where);
      assert.equal(findings[0]?.severity ?? 'error', 'error');
      assert.match(findings[0]?.problem as string, problem);
      assert.match(findings[0]?.fix as string, fix);
    });
  }
}
