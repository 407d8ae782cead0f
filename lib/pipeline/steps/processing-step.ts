// The processing step, and the JSON files that it writes for conditions to look into.
import type { CreateProcessingJobRequest, DescribeProcessingJobResponse } from '@aws-sdk/client-sagemaker';
import { Expression, Get } from '../expression';
import { type JobStepOptions, RequestStep, type Step, type WithoutName } from './step';

/** A JSON file that a processing step writes, for conditions to look into. */
export interface PropertyFile {
  /** By which it is referred to. */
  readonly name: string;
  /** The output, by its name, that the file is in. */
  readonly outputName: string;
  /** Path of the file inside the output. */
  readonly path: string;
}

/** The request for a processing job, without its name. */
export type ProcessingArguments = WithoutName<CreateProcessingJobRequest, 'ProcessingJobName'>;

/** The request, when it is repeated, and what conditions look into. */
export interface ProcessingStepOptions extends JobStepOptions<ProcessingArguments> {
  /** @default none */
  readonly propertyFiles?: readonly PropertyFile[];
}

/** Runs a container on data in S3. */
export class ProcessingStep extends RequestStep<ProcessingArguments, DescribeProcessingJobResponse> {
  readonly type = 'Processing';

  constructor(
    name: string,
    private readonly processing: ProcessingStepOptions,
  ) {
    super(name, processing);
  }

  /** The URI of an output, by its name. */
  output(name: string): Expression<string> {
    // what `properties` would give, at a tenth of its cost
    return new Get(`Steps.${this.name}.ProcessingOutputConfig.Outputs['${name}'].S3Output.S3Uri`);
  }

  protected override extras(): Record<string, unknown> {
    const files = this.processing.propertyFiles?.map(({ name, outputName, path }) => {
      return { PropertyFileName: name, OutputName: outputName, FilePath: path };
    });
    return files ? { PropertyFiles: files } : {};
  }
}

class JsonGet extends Expression<number> {
  constructor(
    private readonly step: Step,
    private readonly file: PropertyFile,
    private readonly path: string,
  ) {
    super();
  }

  toJSON(): unknown {
    return {
      'Std:JsonGet': {
        PropertyFile: { Get: `Steps.${this.step.name}.PropertyFiles.${this.file.name}` },
        Path: this.path,
      },
    };
  }
}

/**
 * A value of a property file.
 *
 * @param path where it stands in the JSON, e.g. multiclass_classification_metrics.accuracy.value
 */
export function jsonGet(step: ProcessingStep, file: PropertyFile, path: string): Expression<number> {
  return new JsonGet(step, file, path);
}
