#include "kernel.h"

namespace scanline {

void SetShape(TF_ShapeInferenceContext* context, int output, int rule, TF_Status* status) {
  TF_ShapeHandle* shape = TF_NewShapeHandle();
  TF_ShapeInferenceContextGetInput(context, rule >= 0 ? rule : 0, shape, status);
  if (rule == kLastAxis) TF_ShapeInferenceContextSubshape(context, shape, -1, INT64_MAX, shape, status);
  if (rule == kAllButFirstAxis) TF_ShapeInferenceContextSubshape(context, shape, 1, INT64_MAX, shape, status);
  if (rule == kAllButLastAxis) TF_ShapeInferenceContextSubshape(context, shape, 0, -1, shape, status);
  if (TF_GetCode(status) == TF_OK) TF_ShapeInferenceContextSetOutput(context, output, shape, status);
  TF_DeleteShapeHandle(shape);
}

void SetAxes(TF_ShapeInferenceContext* context, int output, std::initializer_list<Axes> list, TF_Status* status) {
  TF_ShapeHandle *shape = TF_NewShapeHandle(), *axes = TF_NewShapeHandle();
  TF_ShapeInferenceContextGetInput(context, list.begin()->input, shape, status);
  TF_ShapeInferenceContextSubshape(context, shape, 0, 0, shape, status);
  for (const auto& [input, begin, end] : list) {
    if (TF_GetCode(status) == TF_OK) TF_ShapeInferenceContextGetInput(context, input, axes, status);
    if (TF_GetCode(status) == TF_OK) TF_ShapeInferenceContextSubshape(context, axes, begin, end, axes, status);
    if (TF_GetCode(status) == TF_OK) TF_ShapeInferenceContextConcatenateShapes(context, shape, axes, shape, status);
  }
  if (TF_GetCode(status) == TF_OK) TF_ShapeInferenceContextSetOutput(context, output, shape, status);
  TF_DeleteShapeHandle(shape);
  TF_DeleteShapeHandle(axes);
}

void UnknownShapes(TF_ShapeInferenceContext* context, TF_Status* status) { TF_ShapeInferenceContextSetUnknownShape(context, status); }

void RegisterOp(const OpSpec& spec) {
  TF_OpDefinitionBuilder* builder = TF_NewOpDefinitionBuilder(spec.name);
  for (const char* input : spec.inputs) TF_OpDefinitionBuilderAddInput(builder, input);
  for (const char* output : spec.outputs) TF_OpDefinitionBuilderAddOutput(builder, output);
  TF_OpDefinitionBuilderAddAttr(builder, "T: {float, bfloat16}");
  for (const char* attribute : spec.attributes) TF_OpDefinitionBuilderAddAttr(builder, attribute);
  TF_OpDefinitionBuilderSetShapeInferenceFunction(builder, spec.shapes);
  const KernelStatus status = NewKernelStatus();
  TF_RegisterOpDefinition(builder, status.get());
}

float FloatAttribute(TF_OpKernelConstruction* construction, const char* name) {
  const KernelStatus status = NewKernelStatus();
  float value = 0;
  TF_OpKernelConstruction_GetAttrFloat(construction, name, &value, status.get());
  if (TF_GetCode(status.get()) != TF_OK) TF_OpKernelConstruction_Failure(construction, status.get());
  return value;
}

int32_t IntAttribute(TF_OpKernelConstruction* construction, const char* name) {
  const KernelStatus status = NewKernelStatus();
  int32_t value = 0;
  TF_OpKernelConstruction_GetAttrInt32(construction, name, &value, status.get());
  if (TF_GetCode(status.get()) != TF_OK) TF_OpKernelConstruction_Failure(construction, status.get());
  return value;
}

bool BoolAttribute(TF_OpKernelConstruction* construction, const char* name) {
  const KernelStatus status = NewKernelStatus();
  unsigned char value = 0;
  TF_OpKernelConstruction_GetAttrBool(construction, name, &value, status.get());
  if (TF_GetCode(status.get()) != TF_OK) TF_OpKernelConstruction_Failure(construction, status.get());
  return value != 0;
}

}  // namespace scanline
