"""Pipelines of jobs: processing, training, tuning, scripts."""
import os

from sagemaker import Model, TrainingInput
from sagemaker.debugger import DebuggerHookConfig, ProfilerConfig, TensorBoardOutputConfig
from sagemaker.huggingface import HuggingFace
from sagemaker.inputs import FileSystemInput
from sagemaker.network import NetworkConfig
from sagemaker.processing import ProcessingInput, ProcessingOutput, Processor
from sagemaker.pytorch import PyTorch
from sagemaker.tuner import (
    CategoricalParameter,
    ContinuousParameter,
    HyperbandStrategyConfig,
    HyperparameterTuner,
    IntegerParameter,
    StrategyConfig,
    WarmStartConfig,
    WarmStartTypes,
)
from sagemaker.workflow.execution_variables import ExecutionVariables
from sagemaker.workflow.functions import Join
from sagemaker.workflow.model_step import ModelStep
from sagemaker.workflow.parameters import ParameterBoolean, ParameterFloat, ParameterInteger, ParameterString
from sagemaker.workflow.pipeline_experiment_config import PipelineExperimentConfig
from sagemaker.workflow.properties import PropertyFile
from sagemaker.workflow.retry import SageMakerJobExceptionTypeEnum, SageMakerJobStepRetryPolicy, StepExceptionTypeEnum, StepRetryPolicy
from sagemaker.workflow.steps import CacheConfig, ProcessingStep, TrainingStep, TuningStep
from session import IMAGE, ROLE, KEY, session, PLAIN, definition, estimator


def processor(**more):
    settings = dict(image_uri=IMAGE, role=ROLE, instance_count=1, instance_type="ml.m5.xlarge", volume_size_in_gb=30)
    return Processor(**{**settings, "sagemaker_session": session, **more})


def processing():
    data = ParameterString("InputData", default_value="s3://bucket/raw")
    instance = ParameterString("Instance", default_value="ml.m5.xlarge", enum_values=["ml.m5.xlarge", "ml.m5.4xlarge"])
    count = ParameterInteger("Count", default_value=1)
    share = ParameterFloat("Share", default_value=0.7)
    isolated = ParameterBoolean("Isolated", default_value=True)
    required = ParameterString("Site")
    report = PropertyFile(name="Report", output_name="report", path="evaluation.json")
    split = ProcessingStep(
        name="Split",
        display_name="Split the images",
        description="By patient",
        step_args=processor(
            entrypoint=["split"],
            instance_type=instance,
            instance_count=count,
            volume_kms_key=KEY,
            output_kms_key=KEY,
            max_runtime_in_seconds=1800,
            env={"SITE": required},
            tags=[{"Key": "study", "Value": "planes"}],
            network_config=NetworkConfig(
                enable_network_isolation=isolated,
                encrypt_inter_container_traffic=True,
                security_group_ids=["sg-1"],
                subnets=["subnet-1"],
            ),
        ).run(
            arguments=["--fractions", share.to_string()],
            inputs=[
                ProcessingInput(input_name="data", source=data, destination="/opt/ml/processing/input/data"),
                ProcessingInput(
                    input_name="labels",
                    source="s3://bucket/labels",
                    destination="/opt/ml/processing/input/labels",
                    s3_data_distribution_type="ShardedByS3Key",
                ),
            ],
            outputs=[
                ProcessingOutput(
                    output_name="train",
                    source="/opt/ml/processing/output/train",
                    destination=Join(on="/", values=["s3://bucket", ExecutionVariables.PIPELINE_EXECUTION_ID, "train"]),
                ),
            ],
        ),
        cache_config=CacheConfig(enable_caching=True, expire_after="P30D"),
        retry_policies=[
            StepRetryPolicy(
                exception_types=[StepExceptionTypeEnum.SERVICE_FAULT, StepExceptionTypeEnum.THROTTLING],
                interval_seconds=10,
                backoff_rate=1.5,
                max_attempts=5,
            ),
            SageMakerJobStepRetryPolicy(
                exception_types=[SageMakerJobExceptionTypeEnum.CAPACITY_ERROR], expire_after_mins=120
            ),
        ],
    )
    evaluate = ProcessingStep(
        name="Evaluate",
        step_args=processor(entrypoint=["evaluate"]).run(
            inputs=[
                ProcessingInput(
                    input_name="train",
                    source=split.properties.ProcessingOutputConfig.Outputs["train"].S3Output.S3Uri,
                    destination="/opt/ml/processing/input/train",
                )
            ],
            outputs=[
                ProcessingOutput(
                    output_name="report", source="/opt/ml/processing/output/report", destination="s3://bucket/report"
                )
            ],
        ),
        property_files=[report],
        depends_on=[split],
    )
    definition(
        "processing",
        [split, evaluate],
        [data, instance, count, share, isolated, required],
        PipelineExperimentConfig(ExecutionVariables.PIPELINE_NAME, Join(on="-", values=["trial", ExecutionVariables.PIPELINE_EXECUTION_ID])),
    )


def training():
    learning_rate = ParameterFloat("LearningRate", default_value=0.001)
    train = TrainingStep(
        name="Train",
        step_args=estimator(
            hyperparameters={"epochs": 3, "learning_rate": learning_rate, "model": "densenet121"},
            use_spot_instances=True,
            max_wait=7200,
            checkpoint_s3_uri="s3://bucket/checkpoints",
            checkpoint_local_path="/opt/ml/checkpoints",
            subnets=["subnet-1"],
            security_group_ids=["sg-1"],
            volume_kms_key=KEY,
            instance_type="ml.m5.xlarge",
            output_kms_key=KEY,
            enable_network_isolation=True,
            encrypt_inter_container_traffic=True,
            environment={"SITE": "ward"},
            tags=[{"Key": "study", "Value": "planes"}],
            input_mode="FastFile",
            max_retry_attempts=2,
        ).fit(
            {
                "train": TrainingInput(
                    "s3://bucket/train", distribution="ShardedByS3Key", content_type="image/png", input_mode="File"
                ),
                "validation": TrainingInput("s3://bucket/validation.manifest", s3_data_type="ManifestFile"),
                "atlas": FileSystemInput("fs-0123456789abcdef0", "FSxLustre", "/fsx/atlas"),
            }
        ),
        cache_config=CacheConfig(enable_caching=True, expire_after="PT4H"),
    )
    warm = TrainingStep(
        name="Again",
        step_args=estimator(
            keep_alive_period_in_seconds=1800,
            disable_profiler=False,
            profiler_config=ProfilerConfig(s3_output_path="s3://bucket/profiles", system_monitor_interval_millis=1000),
            debugger_hook_config=DebuggerHookConfig(s3_output_path="s3://bucket/tensors"),
            tensorboard_output_config=TensorBoardOutputConfig(s3_output_path="s3://bucket/tensorboard"),
        ).fit({"train": TrainingInput(train.properties.ModelArtifacts.S3ModelArtifacts)}),
        depends_on=["Train"],
    )
    definition("training", [train, warm], [learning_rate])


def tuner(strategy, **more):
    ranges = {
        "learning_rate": ContinuousParameter(0.0001, 0.01, scaling_type="Logarithmic"),
        "batch_size": IntegerParameter(8, 32),
        "model": CategoricalParameter(["densenet121", "vit"]),
    }
    settings = dict(
        estimator=estimator(),
        objective_metric_name="loss",
        objective_type="Minimize",
        metric_definitions=[{"Name": "loss", "Regex": "loss=([0-9.]+)"}],
        strategy=strategy,
        max_jobs=8,
        max_parallel_jobs=2,
        hyperparameter_ranges=ranges,
    )
    return HyperparameterTuner(**{**settings, **more})


def tuning():
    channels = {"train": TrainingInput("s3://bucket/train")}
    categories = {"model": CategoricalParameter(["densenet121", "vit"])}
    hyperband = StrategyConfig(HyperbandStrategyConfig(min_resource=1, max_resource=9))
    tuners = {
        "Bayesian": tuner(
            "Bayesian",
            early_stopping_type="Auto",
            warm_start_config=WarmStartConfig(WarmStartTypes.TRANSFER_LEARNING, {"earlier"}),
        ),
        "Random": tuner("Random", random_seed=7),
        "Grid": tuner("Grid", hyperparameter_ranges=categories, max_jobs=None),
        "Hyperband": tuner("Hyperband", strategy_config=hyperband),
    }
    steps = [TuningStep(name=name, step_args=each.fit(channels)) for name, each in tuners.items()]
    top = steps[0].get_top_model_s3_uri(top_k=1, s3_bucket="bucket", prefix="models")
    model = Model(image_uri=IMAGE, model_data=top, role=ROLE, sagemaker_session=session)
    steps.append(ModelStep(name="Best", step_args=model.create()))
    definition("tuning", steps)


def script_mode():
    """As ScriptModeTraining of lib/stages packs and starts a script, with each launcher."""
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "..", "examples", "script-mode-pytorch", "source")
    steps = []
    torch, old = dict(framework_version="2.6.0", py_version="py312"), dict(framework_version="2.2.0", py_version="py310")
    hugging = dict(transformers_version="4.49.0", pytorch_version="2.5.1", py_version="py311")
    mpi = {"enabled": True, "processes_per_host": 4, "custom_mpi_options": "--verbose"}
    for name, framework, versions, distribution, instance in [
        ("One", PyTorch, torch, None, "ml.g5.xlarge"),
        ("Ddp", PyTorch, old, {"pytorchddp": {"enabled": True}}, "ml.p4d.24xlarge"),
        ("HuggingDdp", HuggingFace, hugging, {"pytorchddp": {"enabled": True}}, "ml.g5.12xlarge"),
        ("Torchrun", PyTorch, torch, {"torch_distributed": {"enabled": True}}, "ml.g5.12xlarge"),
        ("Mpi", PyTorch, torch, {"mpi": mpi}, "ml.g5.12xlarge"),
    ]:
        script = framework(
            entry_point="train.py",
            source_dir=os.path.relpath(source),
            role=ROLE,
            instance_count=1 if distribution is None else 2,
            instance_type=instance,
            volume_size=50,
            max_run=3600,
            output_path="s3://bucket/models",
            hyperparameters={"epochs": 10, "learning_rate": 0.001, "flip": True, "model": "densenet"},
            metric_definitions=[{"Name": "loss", "Regex": "loss=([0-9.]+)"}],
            distribution=distribution,
            **versions,
            **PLAIN,
        )
        steps.append(TrainingStep(name=name, step_args=script.fit({"train": TrainingInput("s3://bucket/train")})))
    definition("script-mode", steps)
