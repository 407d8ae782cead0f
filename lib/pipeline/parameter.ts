// Parameters: what a person may choose when a pipeline is started.
import { Get } from './expression';

interface ParameterOptions<Value> {
  /** What it is when nobody chooses. @default must be chosen at each start */
  readonly defaultValue?: Value;
}

/** What a text parameter may be. */
export interface StringParameterOptions extends ParameterOptions<string> {
  /** The values that are allowed. @default any */
  readonly enumValues?: readonly string[];
}

/** SageMaker's types of parameters. */
export type ParameterType = 'String' | 'Integer' | 'Float' | 'Boolean';

/** A value that a person may choose when a pipeline is started. */
export abstract class Parameter<Value = unknown> extends Get<Value> {
  protected constructor(
    /** By which it is chosen. */
    readonly name: string,
    /** What its values are. */
    readonly type: ParameterType,
    private readonly options: ParameterOptions<Value> & { readonly enumValues?: readonly string[] },
  ) {
    super(`Parameters.${name}`);
  }

  /** As it stands in a definition. */
  toDefinition(): Record<string, unknown> {
    const { defaultValue, enumValues } = this.options;
    return {
      Name: this.name,
      Type: this.type,
      ...(defaultValue !== undefined && { DefaultValue: defaultValue }),
      ...(enumValues && { EnumValues: enumValues }),
    };
  }
}

/** A text. */
export class ParameterString extends Parameter<string> {
  constructor(name: string, options: StringParameterOptions = {}) {
    super(name, 'String', options);
  }
}

/** A whole number. */
export class ParameterInteger extends Parameter<number> {
  constructor(name: string, options: ParameterOptions<number> = {}) {
    super(name, 'Integer', options);
  }
}

/** A number. */
export class ParameterFloat extends Parameter<number> {
  constructor(name: string, options: ParameterOptions<number> = {}) {
    super(name, 'Float', options);
  }
}

/** True or false. */
export class ParameterBoolean extends Parameter<boolean> {
  constructor(name: string, options: ParameterOptions<boolean> = {}) {
    super(name, 'Boolean', options);
  }
}
