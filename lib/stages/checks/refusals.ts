// What is wrong with the props of a construct, gathered so that all of it is told at once.
import { type Duration, Token } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import { type Finding, PipelineError } from '../../pipeline';
import { refusal } from './checks';

export class Refusals {
  private readonly findings: Finding[] = [];

  constructor(private readonly construct: Construct) {}

  /** @param prop what is refused, with what was given, what is allowed, and how to mend it */
  add(prop: string, given: unknown, allowed: string, fix: string): void {
    this.findings.push(refusal(this.construct.node.path, prop, given, allowed, fix));
  }

  /** Refuses a number that is not a whole one in a range; one that is not known at synth passes. */
  whole(prop: string, value: number | undefined, least: number, most: number): void {
    if (value === undefined || Token.isUnresolved(value)) return;
    if (Number.isInteger(value) && value >= least && value <= most) return;
    this.add(prop, value, `a whole number from ${least} to ${most}`, 'give one in that range');
  }

  /** Refuses a time that is not whole seconds in a range; one that is not known at synth passes. */
  within(prop: string, value: Duration | undefined, least: Duration, most: Duration): void {
    if (value === undefined || value.isUnresolved()) return;
    const seconds = value.toSeconds({ integral: false });
    if (Number.isInteger(seconds) && seconds >= least.toSeconds() && seconds <= most.toSeconds()) return;
    const range = `from ${least.toHumanString()} to ${most.toHumanString()}`;
    this.add(prop, value.toHumanString(), `whole seconds, ${range}`, 'give a time in that range');
  }

  /** @throws PipelineError with all that was added, if there was anything */
  throwIfAny(): void {
    if (this.findings.length > 0) throw new PipelineError(this.construct.node.path, this.findings);
  }
}
