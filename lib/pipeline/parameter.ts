// Parameters: what a person may choose when a pipeline is started.
import { Get } from './expression';

interface ParameterOptions<Value> {
  /** What it is when nobody chooses. @default must be chosen at each start */
  readonly defaultValue?: Value;
}

export interface StringParameterOptions extends ParameterOptions<string> {
  /** The values that are allowed. @default any */
  readonly enumValues?: readonly string[];
}

export type ParameterType = 'String' | 'Integer' | 'Float' | 'Boolean';

export abstract class Parameter<Value = unknown> extends Get<Value> {
  protected constructor(
    readonly name: string,
    readonly type: ParameterType,
    private readonly options: ParameterOptions<Value> & { readonly enumValues?: readonly string[] },
  ) {
    super(`Parameters.${name}`);
  }

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

export class ParameterString extends Parameter<string> {
  constructor(name: string, options: StringParameterOptions = {}) {
    super(name, 'String', options);
  }
}

export class ParameterInteger extends Parameter<number> {
  constructor(name: string, options: ParameterOptions<number> = {}) {
    super(name, 'Integer', options);
  }
}

export class ParameterFloat extends Parameter<number> {
  constructor(name: string, options: ParameterOptions<number> = {}) {
    super(name, 'Float', options);
  }
}

export class ParameterBoolean extends Parameter<boolean> {
  constructor(name: string, options: ParameterOptions<boolean> = {}) {
    super(name, 'Boolean', options);
  }
}
