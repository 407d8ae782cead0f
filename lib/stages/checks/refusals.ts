// What is wrong with the props of a construct, gathered so that all of it is told at once.
import type { Duration } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import { type Finding, PipelineError } from '../../pipeline';
import { checkSeconds, checkWhole, type Refuse, refusal } from './checks';

export class Refusals {
  private readonly findings: Finding[] = [];

  constructor(private readonly construct: Construct) {}

  /** @param prop what is refused, with what was given, what is allowed, and how to mend it */
  add(prop: string, given: unknown, allowed: string, fix: string): void {
    this.findings.push(refusal(this.construct.node.path, prop, given, allowed, fix));
  }

  private readonly refuse = (...details: Parameters<Refuse>) => this.add(...details);

  /** Refuses a number that is not a whole one in a range; one that is not known at synth passes. */
  whole(prop: string, value: number | undefined, least: number, most: number): void {
    checkWhole(prop, value, [least, most], this.refuse);
  }

  /** Refuses a time that is not whole seconds in a range; one that is not known at synth passes. */
  within(prop: string, value: Duration | undefined, least: Duration, most: Duration): void {
    const inWords = `from ${least.toHumanString()} to ${most.toHumanString()}`;
    checkSeconds(prop, value, [least.toSeconds(), most.toSeconds(), inWords], this.refuse);
  }

  /** @throws PipelineError with all that was added, if there was anything */
  throwIfAny(): void {
    if (this.findings.length > 0) throw new PipelineError(this.construct.node.path, this.findings);
  }
}
