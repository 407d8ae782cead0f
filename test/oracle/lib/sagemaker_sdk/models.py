"""Pipelines of models and endpoints."""

from sagemaker import Model, PipelineModel
from sagemaker.drift_check_baselines import DriftCheckBaselines
from sagemaker.model_metrics import FileSource, MetricsSource, ModelMetrics
from sagemaker.transformer import Transformer
from sagemaker.workflow.endpoint_step import EndpointConfigStep, EndpointStep
from sagemaker.workflow.inference_component_step import InferenceComponentStep
from sagemaker.workflow.model_step import ModelStep
from sagemaker.workflow.parameters import ParameterString
from sagemaker.workflow.retry import StepExceptionTypeEnum, StepRetryPolicy
from sagemaker.workflow.steps import CacheConfig, TransformStep
from session import IMAGE, ROLE, KEY, session, definition, train_step


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
