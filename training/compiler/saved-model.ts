// Writes a function of tensors as a TensorFlow SavedModel: its graph, frozen, behind the signature serving_default.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Tensor } from '@tensorflow/tfjs-node-gpu';
import protobuf from 'protobufjs';
import { native } from '../native/tensorflow';
import { AttributeType, DataType } from '../ops/op';
import { withTensorflowOpsOnly } from '../ops/own-kernels';
import { Recorder } from './recorder';
import type { InputSpec } from './runtime';

// Field numbers: saved_model.proto and meta_graph.proto in tensorflow/core/protobuf of TensorFlow 2.21. The graph is put in as the
// bytes that TensorFlow serialised it to, which a message field holds just so.
const { root } = protobuf.parse(
  `
  syntax = "proto3";
  message SavedModel {
    int64 saved_model_schema_version = 1;
    repeated MetaGraphDef meta_graphs = 2;
  }
  message MetaGraphDef {
    MetaInfoDef meta_info_def = 1;
    bytes graph_def = 2;
    map<string, SignatureDef> signature_def = 5;
  }
  message MetaInfoDef {
    repeated string tags = 4;
    string tensorflow_version = 5;
  }
  message SignatureDef {
    map<string, TensorInfo> inputs = 1;
    map<string, TensorInfo> outputs = 2;
    string method_name = 3;
  }
  message TensorInfo {
    string name = 1;
    int32 dtype = 2;
    TensorShapeProto tensor_shape = 3;
  }
  message TensorShapeProto {
    message Dim { int64 size = 1; }
    repeated Dim dim = 2;
  }`,
  { keepCase: true },
);

interface Endpoint {
  readonly name: string;
  readonly dtype: number;
  readonly tensor_shape: { readonly dim: readonly { readonly size: number }[] };
}

const toShape = (shape: readonly number[]) => ({ dim: shape.map((size) => ({ size })) });

/**
 * Writes `folder/saved_model.pb`.
 *
 * @param inputs -1 for the batch dimension
 * @param body what the model computes; tensors made from arrays in it are its constants
 * @param version TensorFlow's, e.g. 2.21.0
 */
export async function writeSavedModel(
  folder: string,
  inputs: Readonly<Record<string, InputSpec>>,
  body: (inputs: Record<string, Tensor>) => Record<string, Tensor>,
  version: string,
): Promise<void> {
  const graph = new native.Graph();
  const recorder = new Recorder(graph);
  const feeds: Record<string, Endpoint> = {};
  const fetches: Record<string, Endpoint> = {};
  recorder.record(() => {
    const tensors = Object.entries(inputs).map(([name, { dtype, shape }]) => {
      const attributes = [
        { name: 'dtype', type: AttributeType.type, value: DataType[dtype] },
        { name: 'shape', type: AttributeType.shape, value: shape },
      ];
      const output = graph.addOperation('Placeholder', name, [], attributes, []).outputs[0]?.id as number;
      feeds[name] = { name: `${name}:0`, dtype: DataType[dtype], tensor_shape: toShape(shape) };
      return [name, recorder.tensor(output, shape, DataType[dtype])];
    });
    const results = withTensorflowOpsOnly(() => body(Object.fromEntries(tensors)));
    for (const [name, tensor] of Object.entries(results)) {
      const attributes = [{ name: 'T', type: AttributeType.type, value: DataType.float32 }];
      graph.addOperation('Identity', name, [recorder.outputOf(tensor)], attributes, []);
      fetches[name] = { name: `${name}:0`, dtype: DataType.float32, tensor_shape: toShape(tensor.shape) };
    }
  });
  const SavedModel = root.lookupType('SavedModel');
  const message = SavedModel.create({
    saved_model_schema_version: 1,
    meta_graphs: [
      {
        meta_info_def: { tags: ['serve'], tensorflow_version: version },
        graph_def: graph.toGraphDef(),
        signature_def: {
          serving_default: { inputs: feeds, outputs: fetches, method_name: 'tensorflow/serving/predict' },
        },
      },
    ],
  });
  // TensorFlow's loader expects the folder of variables, also where there are none
  await mkdir(join(folder, 'variables'), { recursive: true });
  await writeFile(join(folder, 'saved_model.pb'), SavedModel.encode(message).finish());
}
