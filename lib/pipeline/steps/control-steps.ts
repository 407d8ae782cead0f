// Steps that decide: a condition with its branches, and the end of an execution as failed.
import type { Condition } from '../condition';
import type { Text } from '../expression';
import { Step, type StepOptions } from './step';

/** On what a pipeline branches. */
export interface ConditionStepOptions extends StepOptions {
  /** All must hold. */
  readonly conditions: readonly Condition[];
  /** Run where they do. */
  readonly ifSteps: readonly Step[];
  /** Run where they do not. @default none */
  readonly elseSteps?: readonly Step[];
}

/** Runs the one branch or the other. */
export class ConditionStep extends Step {
  readonly type = 'Condition';

  constructor(
    name: string,
    private readonly condition: ConditionStepOptions,
  ) {
    super(name, condition);
  }

  override get branches(): readonly Step[] {
    return [...this.condition.ifSteps, ...(this.condition.elseSteps ?? [])];
  }

  protected override toArguments(): unknown {
    const { conditions, ifSteps, elseSteps = [] } = this.condition;
    return {
      Conditions: conditions,
      IfSteps: ifSteps.map((step) => step.toDefinition()),
      ElseSteps: elseSteps.map((step) => step.toDefinition()),
    };
  }
}

/** How an execution fails. */
export interface FailStepOptions extends StepOptions {
  /** Of the execution; up to 3,072 characters. */
  readonly errorMessage: Text;
}

/** Ends the execution as failed. */
export class FailStep extends Step {
  readonly type = 'Fail';

  constructor(
    name: string,
    private readonly fail: FailStepOptions,
  ) {
    super(name, fail);
  }

  protected override toArguments(): unknown {
    return { ErrorMessage: this.fail.errorMessage };
  }
}
