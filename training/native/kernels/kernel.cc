#include "kernel.h"

#include <map>
#include <string>

namespace scanline {

namespace {

// The shape rules of the registered ops: TensorFlow passes a shape function nothing but its context, so there is one function for
// each rule, made from this table of those that occur.
using ShapeFunction = void (*)(TF_ShapeInferenceContext*, TF_Status*);

void SetShape(TF_ShapeInferenceContext* context, int output, int rule, TF_Status* status) {
  TF_ShapeHandle* shape = TF_NewShapeHandle();
  TF_ShapeInferenceContextGetInput(context, rule >= 0 ? rule : 0, shape, status);
  if (rule == kLastAxis) TF_ShapeInferenceContextSubshape(context, shape, -1, INT64_MAX, shape, status);
  if (rule == kAllButLastAxis) TF_ShapeInferenceContextSubshape(context, shape, 0, -1, shape, status);
  if (TF_GetCode(status) == TF_OK) TF_ShapeInferenceContextSetOutput(context, output, shape, status);
  TF_DeleteShapeHandle(shape);
}

template <int... rules>
void SetShapes(TF_ShapeInferenceContext* context, TF_Status* status) {
  int output = 0;
  (SetShape(context, output++, rules, status), ...);
}

ShapeFunction ShapeFunctionFor(const std::vector<int>& rules) {
  static const std::map<std::vector<int>, ShapeFunction> functions = {
      {{0}, SetShapes<0>},
      {{0, -1, -1}, SetShapes<0, kLastAxis, kLastAxis>},
      {{0, -2, -2}, SetShapes<0, kAllButLastAxis, kAllButLastAxis>},
      {{0, -1, -1, -1, -1}, SetShapes<0, kLastAxis, kLastAxis, kLastAxis, kLastAxis>},
  };
  return functions.at(rules);
}

}  // namespace

void RegisterOp(const OpSpec& spec) {
  TF_OpDefinitionBuilder* builder = TF_NewOpDefinitionBuilder(spec.name);
  for (const char* input : spec.inputs) TF_OpDefinitionBuilderAddInput(builder, input);
  for (const char* output : spec.outputs) TF_OpDefinitionBuilderAddOutput(builder, output);
  TF_OpDefinitionBuilderAddAttr(builder, "T: {float, bfloat16}");
  for (const char* attribute : spec.attributes) TF_OpDefinitionBuilderAddAttr(builder, attribute);
  TF_OpDefinitionBuilderSetShapeInferenceFunction(builder, ShapeFunctionFor(spec.shapes));
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

bool BoolAttribute(TF_OpKernelConstruction* construction, const char* name) {
  const KernelStatus status = NewKernelStatus();
  unsigned char value = 0;
  TF_OpKernelConstruction_GetAttrBool(construction, name, &value, status.get());
  if (TF_GetCode(status.get()) != TF_OK) TF_OpKernelConstruction_Failure(construction, status.get());
  return value != 0;
}

}  // namespace scanline
