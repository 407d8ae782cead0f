// The session settings that TensorFlow gets, as Python's TensorFlow decodes them and as the bytes on the wire.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeSessionConfig } from '../../../training/compiler/session-config';
import { askOracle, withoutOracle } from '../oracle';

const decode = `
import json, sys
from tensorflow.core.protobuf import config_pb2
from google.protobuf.json_format import MessageToDict
answers = []
for text in sys.argv[1:]:
    config = config_pb2.ConfigProto()
    config.ParseFromString(bytes.fromhex(text))
    answers.append(MessageToDict(config, preserving_proto_field_name=True))
print(json.dumps(answers))`;

const hex = (config: Parameters<typeof encodeSessionConfig>[0]) =>
  Buffer.from(encodeSessionConfig(config)).toString('hex');

test('TensorFlow reads from the session settings what was asked', { skip: withoutOracle }, () => {
  const [plain, cpu, gpu] = askOracle<Record<string, unknown>[]>(
    decode,
    hex({}),
    hex({ threads: 3, concurrentOps: 2, precision: 'bf16' }),
    hex({ threads: 1, precision: 'fp16', gpu: true }),
  );
  const always = { allow_soft_placement: true, gpu_options: { allow_growth: true } };
  const leftAlone = { opt_level: 'L0', do_common_subexpression_elimination: true };
  assert.deepEqual(plain, {
    ...always,
    inter_op_parallelism_threads: 1,
    graph_options: {
      optimizer_options: leftAlone,
      rewrite_options: { meta_optimizer_iterations: 'ONE', optimizers: ['dependency'] },
    },
  });
  assert.deepEqual(cpu, {
    ...always,
    ...{ intra_op_parallelism_threads: 3, inter_op_parallelism_threads: 2 },
    graph_options: {
      optimizer_options: leftAlone,
      rewrite_options: {
        meta_optimizer_iterations: 'ONE',
        optimizers: ['auto_mixed_precision_onednn_bfloat16', 'dependency'],
      },
    },
  });
  assert.deepEqual(gpu, {
    ...always,
    intra_op_parallelism_threads: 1,
    graph_options: {
      optimizer_options: { max_folded_constant_in_bytes: '65536' },
      rewrite_options: { meta_optimizer_iterations: 'ONE', auto_mixed_precision: 'ON' },
    },
  });
});

test('threads stand at field 2, concurrent ops at field 5: one, unless a GPU is to be kept busy', () => {
  const starts = (config: Parameters<typeof encodeSessionConfig>[0], bytes: string) =>
    assert.equal(hex(config).slice(0, bytes.length), bytes);
  starts({ threads: 3, concurrentOps: 2 }, '10032802');
  starts({ threads: 3 }, '10032801');
  starts({ threads: 3, gpu: true }, '100332');
});
