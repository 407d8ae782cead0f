"""Pipelines that decide, ask, check and run elsewhere; and the requests that make and start them."""
import json
import os
import tempfile

from jobs import processor
import sagemaker
from sagemaker.automl.automl import AutoML, AutoMLInput
from sagemaker.clarify import BiasConfig, DataConfig, ModelConfig, SHAPConfig
from sagemaker.model_monitor import DatasetFormat
from sagemaker.processing import ProcessingOutput
from sagemaker.workflow.automl_step import AutoMLStep
from sagemaker.workflow.callback_step import CallbackOutput, CallbackOutputTypeEnum, CallbackStep
from sagemaker.workflow.check_job_config import CheckJobConfig
from sagemaker.workflow.clarify_check_step import ClarifyCheckStep, DataBiasCheckConfig, ModelExplainabilityCheckConfig
from sagemaker.workflow.condition_step import ConditionStep
from sagemaker.workflow.conditions import (
    ConditionEquals,
    ConditionGreaterThan,
    ConditionGreaterThanOrEqualTo,
    ConditionIn,
    ConditionLessThan,
    ConditionLessThanOrEqualTo,
    ConditionNot,
    ConditionOr,
)
from sagemaker.workflow.emr_step import EMRStep, EMRStepConfig
from sagemaker.workflow.fail_step import FailStep
from sagemaker.workflow.functions import Join, JsonGet
from sagemaker.workflow.lambda_step import LambdaOutput, LambdaOutputTypeEnum, LambdaStep
from sagemaker.workflow.model_step import ModelStep
from sagemaker.workflow.notebook_job_step import NotebookJobStep
from sagemaker.workflow.parallelism_config import ParallelismConfiguration
from sagemaker.workflow.parameters import ParameterFloat, ParameterString
from sagemaker.workflow.pipeline import Pipeline
from sagemaker.workflow.properties import PropertyFile
from sagemaker.workflow.quality_check_step import DataQualityCheckConfig, QualityCheckStep
from sagemaker.workflow.selective_execution_config import SelectiveExecutionConfig
from sagemaker.workflow.steps import CacheConfig, ProcessingStep
from session import REGION, IMAGE, ROLE, KEY, PIPELINE_ARN, requests, session, definition, train_step


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
