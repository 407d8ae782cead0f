# Validates each step's arguments with botocore's own model of SageMaker, and our tables of its members.
# stdin: {"steps": [...], "enumerations": {...}, "ranges": {...}}; prints one line for each thing that is wrong.
import json
import sys

from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.validate import ParamValidator

OPERATIONS = {
    "Processing": ("CreateProcessingJob", "ProcessingJobName"),
    "QualityCheck": ("CreateProcessingJob", "ProcessingJobName"),
    "ClarifyCheck": ("CreateProcessingJob", "ProcessingJobName"),
    "Training": ("CreateTrainingJob", "TrainingJobName"),
    "Tuning": ("CreateHyperParameterTuningJob", "HyperParameterTuningJobName"),
    "Transform": ("CreateTransformJob", "TransformJobName"),
    "AutoML": ("CreateAutoMLJob", "AutoMLJobName"),
    "Model": ("CreateModel", "ModelName"),
    "RegisterModel": ("CreateModelPackage", "ModelPackageName"),
    "EndpointConfig": ("CreateEndpointConfig", None),
    "Endpoint": ("CreateEndpoint", None),
    "InferenceComponent": ("CreateInferenceComponent", None),
}
model = ServiceModel(Loader().load_service_model("sagemaker", "service-2"), "sagemaker")


def plain(value):
    """An expression stands for a text: none of our steps has one where a number must be."""
    if isinstance(value, dict):
        return "expression" if set(value) & {"Get", "Std:Join", "Std:JsonGet"} else {k: plain(v) for k, v in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


def check_step(step):
    if step["Type"] == "EMR":
        emr = ServiceModel(Loader().load_service_model("emr", "service-2"), "emr")
        shape, arguments = emr.shape_for("HadoopJarStepConfig"), plain(step["Arguments"]["StepConfig"]["HadoopJarStep"])
    elif step["Type"] in OPERATIONS:
        operation, name = OPERATIONS[step["Type"]]
        shape = model.operation_model(operation).input_shape
        arguments = {**plain(step["Arguments"]), **({name: "name"} if name else {})}
    else:
        return
    report = ParamValidator().validate(arguments, shape)
    if report.has_errors():
        print(f"{step['Name']}: {report.generate_report()}")


def check_enumeration(member, expected):
    shape = model.shape_for(member.split(".")[0]).members[member.split(".")[1]]
    found = shape.member.name + "[]" if shape.type_name == "list" else shape.name
    if found != expected:
        print(f"{member} is a {found}, not a {expected}")


def check_range(member, expected):
    metadata = model.shape_for(member.split(".")[0]).members[member.split(".")[1]].metadata
    found = [metadata.get("min"), metadata.get("max")]
    if found != expected:
        print(f"{member} is from {found}, not {expected}")


task = json.load(sys.stdin)
for step in task["steps"]:
    check_step(step)
for member, expected in task["enumerations"].items():
    check_enumeration(member, expected)
for member, expected in task["ranges"].items():
    check_range(member, expected)
