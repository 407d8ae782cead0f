// What a definition says, without what says nothing: each difference in writing that is allowed, with its reason.

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** Members that say nothing where they have this value: it is the API's own default, which the Python SDK writes out. */
const DEFAULTS: Readonly<Record<string, Json>> = {
  // API_ProcessingInput, API_ProcessingOutput
  AppManaged: false,
  // API_ProcessingS3Input, API_S3DataSource
  S3DataDistributionType: 'FullyReplicated',
  S3CompressionType: 'None',
  // API_IntegerParameterRange
  ScalingType: 'Auto',
  // API_HyperParameterTuningJobConfig
  TrainingJobEarlyStoppingType: 'Off',
  // API_CreateModelPackage
  SkipModelValidation: 'None',
};

/** Members that the Python SDK adds, which ask for nothing that the pipeline was told to do. */
const ADDED: Readonly<Record<string, string>> = {
  // with AWS's framework images the SDK sends each metric to a second store too, which costs extra; ours has CloudWatch and the job
  EnableSageMakerMetricsTimeSeries: "a second store of metrics, asked for in the framework's name",
  // a notebook has a name for its jobs, which pipelines replace by one of their own
  TrainingJobName: 'the service names what a pipeline makes',
};

/** The SDK writes the name of the pipeline, ours refers to it: the pipelines of the tests are called p. */
const NAME = 'p';

const isEmpty = (value: Json | undefined) =>
  value === undefined || value === null || (typeof value === 'object' && Object.keys(value).length === 0);

export function meaning(value: Json): Json | undefined {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map((item) => meaning(item) as Json);
  const fields = value as { readonly [key: string]: Json };
  if (fields.Get === 'Execution.PipelineName') return NAME;
  // the order of keys says nothing, and deepEqual does not look at it
  const kept = Object.entries(fields).flatMap(([key, entry]) => {
    if (key in ADDED || DEFAULTS[key] === entry) return [];
    const said = meaning(entry);
    // null, {} and [] say what absence says, but for the steps of a branch and the parameters, which are compared by length anyway
    return isEmpty(said) ? [] : [[key, said as Json] as const];
  });
  return Object.fromEntries(kept);
}
