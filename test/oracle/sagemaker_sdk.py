# Pipelines as AWS's SageMaker Python SDK 2 writes them, for test/lib/pipeline/python-sdk.test.ts to hold ours against.
# usage: .oracle-sagemaker/bin/python test/oracle/sagemaker_sdk.py FOLDER   (test/fixtures/sdk has what it wrote)
# Nothing leaves this machine: every HTTP request of boto is answered here.
import io
import json
import logging
import os
import re
import sys
import tempfile
import warnings

for name in [name for name in os.environ if name.startswith("AWS_")]:
    del os.environ[name]
os.environ.update(SAGEMAKER_ADMIN_CONFIG_OVERRIDE="/dev/null", SAGEMAKER_USER_CONFIG_OVERRIDE="/dev/null")
warnings.filterwarnings("ignore")

import boto3  # noqa: E402
import botocore.awsrequest  # noqa: E402
import botocore.session  # noqa: E402
import sagemaker  # noqa: E402
from sagemaker import Model, PipelineModel, TrainingInput  # noqa: E402
from sagemaker.automl.automl import AutoML, AutoMLInput  # noqa: E402
from sagemaker.clarify import BiasConfig, DataConfig, ModelConfig, SHAPConfig  # noqa: E402
from sagemaker.debugger import DebuggerHookConfig, ProfilerConfig, TensorBoardOutputConfig  # noqa: E402
from sagemaker.drift_check_baselines import DriftCheckBaselines  # noqa: E402
from sagemaker.estimator import Estimator  # noqa: E402
from sagemaker.inputs import FileSystemInput  # noqa: E402
from sagemaker.model_metrics import FileSource, MetricsSource, ModelMetrics  # noqa: E402
from sagemaker.model_monitor import DatasetFormat  # noqa: E402
from sagemaker.network import NetworkConfig  # noqa: E402
from sagemaker.processing import ProcessingInput, ProcessingOutput, Processor  # noqa: E402
from sagemaker.huggingface import HuggingFace  # noqa: E402
from sagemaker.pytorch import PyTorch  # noqa: E402
from sagemaker.transformer import Transformer  # noqa: E402
from sagemaker.tuner import (  # noqa: E402
    CategoricalParameter,
    ContinuousParameter,
    HyperbandStrategyConfig,
    HyperparameterTuner,
    IntegerParameter,
    StrategyConfig,
    WarmStartConfig,
    WarmStartTypes,
)
from sagemaker.workflow.automl_step import AutoMLStep  # noqa: E402
from sagemaker.workflow.callback_step import CallbackOutput, CallbackOutputTypeEnum, CallbackStep  # noqa: E402
from sagemaker.workflow.check_job_config import CheckJobConfig  # noqa: E402
from sagemaker.workflow.clarify_check_step import (  # noqa: E402
    ClarifyCheckStep,
    DataBiasCheckConfig,
    ModelExplainabilityCheckConfig,
)
from sagemaker.workflow.condition_step import ConditionStep  # noqa: E402
from sagemaker.workflow.conditions import (  # noqa: E402
    ConditionEquals,
    ConditionGreaterThan,
    ConditionGreaterThanOrEqualTo,
    ConditionIn,
    ConditionLessThan,
    ConditionLessThanOrEqualTo,
    ConditionNot,
    ConditionOr,
)
from sagemaker.workflow.emr_step import EMRStep, EMRStepConfig  # noqa: E402
from sagemaker.workflow.endpoint_step import EndpointConfigStep, EndpointStep  # noqa: E402
from sagemaker.workflow.execution_variables import ExecutionVariables  # noqa: E402
from sagemaker.workflow.fail_step import FailStep  # noqa: E402
from sagemaker.workflow.functions import Join, JsonGet  # noqa: E402
from sagemaker.workflow.inference_component_step import InferenceComponentStep  # noqa: E402
from sagemaker.workflow.lambda_step import LambdaOutput, LambdaOutputTypeEnum, LambdaStep  # noqa: E402
from sagemaker.workflow.model_step import ModelStep  # noqa: E402
from sagemaker.workflow.notebook_job_step import NotebookJobStep  # noqa: E402
from sagemaker.workflow.parallelism_config import ParallelismConfiguration  # noqa: E402
from sagemaker.workflow.parameters import (  # noqa: E402
    ParameterBoolean,
    ParameterFloat,
    ParameterInteger,
    ParameterString,
)
from sagemaker.workflow.pipeline import Pipeline  # noqa: E402
from sagemaker.workflow.pipeline_context import PipelineSession  # noqa: E402
from sagemaker.workflow.pipeline_experiment_config import (  # noqa: E402
    PipelineExperimentConfig,
    PipelineExperimentConfigProperties,
)
from sagemaker.workflow.properties import PropertyFile  # noqa: E402
from sagemaker.workflow.quality_check_step import DataQualityCheckConfig, QualityCheckStep  # noqa: E402
from sagemaker.workflow.retry import (  # noqa: E402
    SageMakerJobExceptionTypeEnum,
    SageMakerJobStepRetryPolicy,
    StepExceptionTypeEnum,
    StepRetryPolicy,
)
from sagemaker.workflow.selective_execution_config import SelectiveExecutionConfig  # noqa: E402
from sagemaker.workflow.steps import CacheConfig, ProcessingStep, TrainingStep, TransformStep, TuningStep  # noqa: E402

logging.disable(logging.CRITICAL)

REGION = "eu-central-1"
IMAGE = f"111122223333.dkr.ecr.{REGION}.amazonaws.com/scanline:1"
ROLE = "arn:aws:iam::111122223333:role/scanline"
KEY = "arn:aws:kms:eu-central-1:111122223333:key/images"
BUCKETS = "<ListAllMyBucketsResult><Buckets><Bucket><Name>bucket</Name></Bucket></Buckets></ListAllMyBucketsResult>"
PIPELINE_ARN = f"arn:aws:sagemaker:{REGION}:111122223333:pipeline/p"

requests = {}


class Raw(io.BytesIO):
    def stream(self, **_):
        return iter([self.read()])


def answer(request, **_):
    """Any request of boto: what it asked is kept; an ARN is all that the SDK needs back."""
    target = request.headers.get("X-Amz-Target", b"")
    operation = (target.decode() if isinstance(target, bytes) else target).split(".")[-1]
    if operation:
        requests[operation] = json.loads(request.body)
    arns = json.dumps({"PipelineArn": PIPELINE_ARN, "PipelineExecutionArn": f"{PIPELINE_ARN}/execution/e"})
    body = arns if operation else BUCKETS if request.method == "GET" else ""
    return botocore.awsrequest.AWSResponse(request.url, 200, {}, Raw(body.encode()))


core = botocore.session.get_session()
core.set_credentials("none", "none")
core.register("before-send", answer)
boto = boto3.Session(botocore_session=core, region_name=REGION)
session = PipelineSession(boto_session=boto, default_bucket="bucket")
# asked of STS otherwise
session.account_id = lambda: "111122223333"

PLAIN = dict(disable_profiler=True, debugger_hook_config=False, sagemaker_session=session)
DEFINITIONS = {}


def definition(name, steps, parameters=(), experiment=None):
    DEFINITIONS[name] = json.loads(
        Pipeline(
            name="p",
            parameters=list(parameters),
            steps=steps,
            sagemaker_session=session,
            **({"pipeline_experiment_config": experiment} if experiment else {}),
        ).definition()
    )


def estimator(**more):
    settings = dict(
        image_uri=IMAGE,
        role=ROLE,
        instance_count=1,
        instance_type="ml.g5.xlarge",
        volume_size=50,
        max_run=3600,
        output_path="s3://bucket/models",
        hyperparameters={"epochs": 3},
        metric_definitions=[{"Name": "loss", "Regex": "loss=([0-9.]+)"}],
    )
    return Estimator(**{**settings, **PLAIN, **more})


def train_step(name="Train"):
    return TrainingStep(name=name, step_args=estimator().fit({"train": TrainingInput("s3://bucket/train")}))


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


def models():
    approval = ParameterString("Approval", default_value="PendingManualApproval")
    train = train_step()
    artifacts = train.properties.ModelArtifacts.S3ModelArtifacts
    model = Model(
        image_uri=IMAGE,
        model_data=artifacts,
        role=ROLE,
        env={"LEVEL": "info"},
        enable_network_isolation=True,
        vpc_config={"Subnets": ["subnet-1"], "SecurityGroupIds": ["sg-1"]},
        sagemaker_session=session,
    )
    create = ModelStep(name="Make", step_args=model.create())
    transformer = Transformer(
        model_name=create.properties.ModelName,
        instance_count=2,
        instance_type="ml.m5.xlarge",
        strategy="MultiRecord",
        assemble_with="Line",
        output_path="s3://bucket/predictions",
        output_kms_key=KEY,
        accept="application/jsonlines",
        max_concurrent_transforms=4,
        max_payload=6,
        env={"LEVEL": "info"},
        volume_kms_key=KEY,
        tags=[{"Key": "study", "Value": "planes"}],
        sagemaker_session=session,
    )
    transform = TransformStep(
        name="Predict",
        step_args=transformer.transform(
            "s3://bucket/images", content_type="application/json", split_type="Line", input_filter="$.image", join_source="Input"
        ),
    )
    source = lambda name: MetricsSource(content_type="application/json", s3_uri=f"s3://bucket/{name}.json")  # noqa: E731
    package = Model(image_uri=IMAGE, model_data=artifacts, role=ROLE, sagemaker_session=session)
    register = ModelStep(
        name="Register",
        step_args=package.register(
            content_types=["image/png"],
            response_types=["application/json"],
            inference_instances=["ml.g5.xlarge"],
            transform_instances=["ml.m5.xlarge"],
            model_package_group_name="group",
            approval_status=approval,
            description="planes",
            domain="COMPUTER_VISION",
            task="IMAGE_CLASSIFICATION",
            sample_payload_url="s3://bucket/payload.tar.gz",
            skip_model_validation="None",
            customer_metadata_properties={"accuracy": "0.97"},
            model_metrics=ModelMetrics(
                model_statistics=source("statistics"), model_constraints=source("constraints"), bias=source("bias")
            ),
            drift_check_baselines=DriftCheckBaselines(
                model_statistics=source("drift"), bias_config_file=FileSource("s3://bucket/bias-config.json")
            ),
        ),
    )
    second = Model(image_uri=f"{IMAGE}0", model_data="s3://bucket/second.tar.gz", role=ROLE, sagemaker_session=session)
    chain = PipelineModel(models=[package, second], role=ROLE, sagemaker_session=session)
    registered = ModelStep(
        name="Chain",
        step_args=chain.register(
            content_types=["image/png"],
            response_types=["application/json"],
            inference_instances=["ml.g5.xlarge"],
            transform_instances=["ml.m5.xlarge"],
            model_package_group_name="group",
        ),
    )
    definition("models", [train, create, transform, register, registered], [approval])


def decisions():
    least = ParameterFloat("LeastAccuracy", default_value=0.9)
    mode = ParameterString("Mode", default_value="go")
    report = PropertyFile(name="Report", output_name="report", path="evaluation.json")
    evaluate = ProcessingStep(
        name="Evaluate",
        step_args=processor(entrypoint=["evaluate"]).run(
            outputs=[
                ProcessingOutput(
                    output_name="report", source="/opt/ml/processing/output/report", destination="s3://bucket/report"
                )
            ]
        ),
        property_files=[report],
    )
    ask = LambdaStep(
        name="Ask",
        lambda_func=sagemaker.lambda_helper.Lambda(
            function_arn=f"arn:aws:lambda:{REGION}:111122223333:function:ask", session=session
        ),
        inputs={"mode": mode, "tries": 3},
        outputs=[
            LambdaOutput("verdict", LambdaOutputTypeEnum.String),
            LambdaOutput("score", LambdaOutputTypeEnum.Float),
        ],
        cache_config=CacheConfig(enable_caching=True, expire_after="P1D"),
    )
    wait = CallbackStep(
        name="Wait",
        sqs_queue_url=f"https://sqs.{REGION}.amazonaws.com/111122223333/review",
        inputs={"score": ask.properties.Outputs["score"]},
        outputs=[CallbackOutput("approved", CallbackOutputTypeEnum.Boolean)],
        depends_on=[evaluate],
    )
    accuracy = JsonGet(step_name="Evaluate", property_file=report, json_path="metrics.accuracy.value")
    gate = ConditionStep(
        name="Gate",
        conditions=[
            ConditionGreaterThanOrEqualTo(accuracy, least),
            ConditionGreaterThan(accuracy, 0.5),
            ConditionLessThan(ask.properties.Outputs["score"], 1.0),
            ConditionLessThanOrEqualTo(accuracy, 1.0),
            ConditionEquals(wait.properties.Outputs["approved"], True),
            ConditionIn(mode, ["go", "stop"]),
            ConditionNot(ConditionEquals(mode, "never")),
            ConditionOr([ConditionEquals(mode, "go"), ConditionEquals(mode, "stop")]),
        ],
        if_steps=[train_step()],
        else_steps=[FailStep(name="Stop", error_message=Join(on=" ", values=["accuracy", accuracy, "below", least]))],
    )
    definition("decisions", [evaluate, ask, wait, gate], [least, mode])


def checks():
    job = CheckJobConfig(
        role=ROLE, instance_count=1, instance_type="ml.m5.xlarge", volume_size_in_gb=20, sagemaker_session=session
    )
    quality = QualityCheckStep(
        name="Quality",
        skip_check=False,
        fail_on_violation=False,
        register_new_baseline=True,
        quality_check_config=DataQualityCheckConfig(
            baseline_dataset="s3://bucket/features.csv",
            dataset_format=DatasetFormat.csv(header=True),
            output_s3_uri="s3://bucket/quality",
        ),
        check_job_config=job,
        model_package_group_name="group",
        supplied_baseline_statistics="s3://bucket/statistics.json",
        supplied_baseline_constraints="s3://bucket/constraints.json",
    )
    data = DataConfig(
        s3_data_input_path="s3://bucket/features.csv",
        s3_output_path="s3://bucket/bias",
        s3_analysis_config_output_path="s3://bucket/bias/config",
        label="label",
        headers=["age", "label"],
        dataset_type="text/csv",
    )
    bias = ClarifyCheckStep(
        name="Bias",
        clarify_check_config=DataBiasCheckConfig(
            data_config=data,
            data_bias_config=BiasConfig(label_values_or_threshold=[1], facet_name="age", facet_values_or_threshold=[60]),
        ),
        check_job_config=job,
        skip_check=True,
        register_new_baseline=True,
        model_package_group_name="group",
    )
    explained = ClarifyCheckStep(
        name="Explained",
        clarify_check_config=ModelExplainabilityCheckConfig(
            data_config=data,
            model_config=ModelConfig(model_name="planes", instance_count=1, instance_type="ml.m5.xlarge"),
            explainability_config=SHAPConfig(baseline=[[40]], num_samples=10, agg_method="mean_abs"),
        ),
        check_job_config=job,
        supplied_baseline_constraints="s3://bucket/explained.json",
    )
    definition("checks", [quality, bias, explained])


def elsewhere():
    jar = EMRStepConfig(
        jar="command-runner.jar",
        args=["spark-submit", "a.py"],
        main_class="Main",
        properties=[{"Key": "memory", "Value": "2g"}],
    )
    running = EMRStep(
        name="Spark",
        display_name="Spark",
        description="on a cluster that runs",
        cluster_id="j-1",
        execution_role_arn=ROLE,
        step_config=jar,
        cache_config=CacheConfig(enable_caching=True, expire_after="P1D"),
    )
    own = EMRStep(
        name="Cluster",
        display_name="Cluster",
        description="on one of its own",
        cluster_id=None,
        cluster_config={
            "Instances": {"InstanceGroups": [{"InstanceRole": "MASTER", "InstanceCount": 1, "InstanceType": "m5.xlarge"}]},
            "ReleaseLabel": "emr-7.0.0",
            "Applications": [{"Name": "Spark"}],
            "ServiceRole": "EMR_DefaultRole",
            "JobFlowRole": "EMR_EC2_DefaultRole",
        },
        step_config=EMRStepConfig(jar="s3://bucket/a.jar"),
    )
    notebook = os.path.join(tempfile.mkdtemp(), "report.ipynb")
    with open(notebook, "w") as file:
        json.dump({"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}, file)
    job = NotebookJobStep(
        name="Notebook",
        # the SDK makes one of the time otherwise; ours is the step's
        notebook_job_name="Notebook",
        input_notebook=notebook,
        image_uri=IMAGE,
        kernel_name="python3",
        role=ROLE,
        s3_root_uri="s3://bucket/notebooks",
        parameters={"mode": "go"},
        environment_variables={"SITE": "ward"},
        s3_kms_key=KEY,
        volume_kms_key=KEY,
        subnets=["subnet-1"],
        security_group_ids=["sg-1"],
    )
    table = AutoML(
        role=ROLE,
        target_attribute_name="y",
        problem_type="BinaryClassification",
        job_objective={"MetricName": "F1"},
        mode="ENSEMBLING",
        max_candidates=10,
        output_path="s3://bucket/automl",
        sagemaker_session=session,
    )
    rows = AutoMLInput(inputs="s3://bucket/rows.csv", target_attribute_name="y", channel_type="training")
    automl = AutoMLStep(name="Table", step_args=table.fit(inputs=[rows]))
    best = automl.get_best_auto_ml_model(role=ROLE, sagemaker_session=session)
    made = ModelStep(name="Make", step_args=best.create())
    definition("elsewhere", [running, own, job, automl, made])


def endpoints():
    config = EndpointConfigStep(
        name="Configure",
        step_args=session.create_endpoint_config(
            name="planes", model_name="planes", initial_instance_count=1, instance_type="ml.g5.xlarge", kms_key=KEY
        ),
        cache_config=CacheConfig(enable_caching=True, expire_after="P1D"),
        retry_policies=[StepRetryPolicy(exception_types=[StepExceptionTypeEnum.THROTTLING], max_attempts=3)],
    )
    endpoint = EndpointStep(
        name="Deploy", step_args=session.create_endpoint(endpoint_name="planes", config_name="planes"), depends_on=[config]
    )
    component = InferenceComponentStep(
        name="Component",
        step_args=session.create_inference_component(
            inference_component_name="planes",
            endpoint_name="planes",
            variant_name="AllTraffic",
            specification={
                "ModelName": "planes",
                "ComputeResourceRequirements": {"MinMemoryRequiredInMb": 1024, "NumberOfAcceleratorDevicesRequired": 1},
            },
            runtime_config={"CopyCount": 1},
        ),
        depends_on=[endpoint],
    )
    definition("endpoints", [config, endpoint, component])


def script_mode():
    """As ScriptModeTraining of lib/stages packs and starts a script, with each launcher."""
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "examples", "script-mode-pytorch", "source")
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


def execution_requests():
    pipeline = Pipeline(name="p", steps=[train_step(), train_step("Again")], sagemaker_session=session)
    pipeline.create(ROLE, description="planes", parallelism_config=ParallelismConfiguration(4))
    pipeline.start(
        parameters={"Mode": "go"},
        execution_display_name="first",
        pipeline_version_id=3,
        parallelism_config=ParallelismConfiguration(2),
        selective_execution_config=SelectiveExecutionConfig(
            source_pipeline_execution_arn=f"{PIPELINE_ARN}/execution/e", selected_steps=["Again"]
        ),
    )
    for request in requests.values():
        request.pop("ClientRequestToken", None)
    create = requests["CreatePipeline"]
    create.pop("PipelineDefinition")
    return {name: requests[name] for name in ["CreatePipeline", "StartPipelineExecution"]}


folder = sys.argv[1]
for case in [processing, training, tuning, models, decisions, checks, elsewhere, endpoints, script_mode]:
    case()
for name, written in {**DEFINITIONS, "requests": execution_requests()}.items():
    with open(os.path.join(folder, f"{name}.json"), "w") as file:
        # what the SDK makes of the time and of the folder that it runs in
        text = re.sub(r"/input-[-0-9]{20,}|/code/[0-9a-f]{64}", "/UPLOAD", json.dumps(written, indent=2))
        file.write(f"{text}\n")
