"""Write the graph that the default embedder runs: all-MiniLM-L6-v2 on the weights of the packaged model file.

python scripts/minilm_graph.py MODEL.onnx core/memory_mgr/defaults/minilm.onnx

The packaged graph turns its int8 weights into floats when it is loaded: 90 MB, much of which is read for every text.
This one multiplies the int8 weights themselves (MatMulNBits), and has one node for each attention. It holds no weights:
each of its initializers says where in the packaged file the values are, so it belongs to that one file.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

LAYERS, HEADS, EPSILON = 6, 12, 1e-12
BLOCK = 64
"""Values of an activation that share a scale. With 32, 64 and 128 the cosines to the vectors of float activations are
.9998, .9995 and .9992 in the median, and larger blocks are faster."""
ACCURACY_INT8 = 4
"""Of MatMulNBits: activations are rounded to int8, block by block, each row by itself."""
MICROSOFT = "com.microsoft"
EMBEDDINGS = "inner.embeddings."


@dataclass
class Graph:
    """Nodes and initializers of the graph to be, with the model they are taken from."""

    path: Path
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    initializers: dict[str, TensorProto] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._bytes = self.path.read_bytes()
        self.tensors = {tensor.name: tensor for tensor in onnx.load(self.path).graph.initializer}

    def stored(self, name: str) -> str:
        """A tensor of the packaged file, by reference."""
        tensor, values = self.tensors[name], self.tensors[name].raw_data
        there = TensorProto(name=name, data_type=tensor.data_type, dims=tensor.dims)
        there.data_location = TensorProto.EXTERNAL
        where = {"location": self.path.name, "offset": self._bytes.index(values), "length": len(values)}
        for key, value in where.items():
            there.external_data.add(key=key, value=str(value))
        self.initializers[name] = there
        return name

    def constant(self, *values: int, dtype: type = np.int64) -> str:
        name = f"{np.dtype(dtype).name}:{','.join(map(str, values))}"
        self.initializers[name] = numpy_helper.from_array(np.array(values, dtype), name)
        return name

    def node(self, kind: str, inputs: list[str], output: str, domain: str = "", **attributes: object) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [output], domain=domain, **attributes))
        return output

    def linear(self, x: str, weight: str, bias: str, output: str) -> str:
        """`x @ weight + bias`; the weight is made what MatMulNBits wants when the graph is loaded, all being constant.

        It wants columns in blocks, (N, K / BLOCK, BLOCK), as bytes around 128.
        """
        rows, columns = self.tensors[f"{weight}_q"].dims
        blocks = rows // BLOCK
        turned = self.node("Transpose", [self.stored(f"{weight}_q")], f"{weight}_turned", perm=[1, 0])
        wide = self.node("Cast", [turned], f"{weight}_wide", to=TensorProto.INT32)
        raised = self.node("Add", [wide, self.constant(128, dtype=np.int32)], f"{weight}_raised")
        packed = self.node("Cast", [raised], f"{weight}_bytes", to=TensorProto.UINT8)
        blocked = self.node("Reshape", [packed, self.constant(columns, blocks, BLOCK)], f"{weight}_blocks")
        column = self.node(
            "Reshape", [self.stored(f"{weight}_scale"), self.constant(columns, 1)], f"{weight}_column_scale"
        )
        scales = self.node("Expand", [column, self.constant(columns, blocks)], f"{weight}_scales")
        shape = {"K": rows, "N": columns, "bits": 8, "block_size": BLOCK}
        inputs = [x, blocked, scales, "", "", self.stored(bias)]
        return self.node("MatMulNBits", inputs, output, MICROSOFT, accuracy_level=ACCURACY_INT8, **shape)

    def summed_norm(self, x: str, y: str, name: str, output: str) -> str:
        """`LayerNorm(x + y)`."""
        inputs = [x, y, self.stored(f"{name}.weight"), self.stored(f"{name}.bias")]
        return self.node("SkipLayerNormalization", inputs, output, MICROSOFT, epsilon=EPSILON)

    def looked_up(self, table: str, indices: str, output: str) -> str:
        """Rows of a table that is stored as int8 with a scale for each row."""
        bytes_ = self.node("Gather", [self.stored(f"{table}_q"), indices], f"{output}_bytes")
        scales = self.node("Gather", [self.stored(f"{table}_scale"), indices], f"{output}_scales")
        floats = self.node("Cast", [bytes_], f"{output}_floats", to=TensorProto.FLOAT)
        return self.node("Mul", [floats, scales], output)


def embeddings(graph: Graph) -> str:
    """What goes into the first layer: words, positions and the type of the only sentence."""
    words = graph.looked_up(f"{EMBEDDINGS}word_embeddings.weight", "input_ids", "words")
    length = graph.node("Shape", ["input_ids"], "length", start=1, end=2)
    start, one = graph.constant(0), graph.constant(1)
    ids = graph.node("Slice", [graph.stored(f"{EMBEDDINGS}position_ids"), start, length, one], "position_ids")
    positions = graph.looked_up(f"{EMBEDDINGS}position_embeddings.weight", ids, "positions")
    kind = graph.node("Gather", [graph.stored(f"{EMBEDDINGS}token_type_embeddings.weight"), start], "kind")
    placed = graph.node("Add", [positions, kind], "placed")
    summed = graph.node("Add", [words, placed], "summed")
    norm = [graph.stored(f"{EMBEDDINGS}LayerNorm.{part}") for part in ("weight", "bias")]
    return graph.node("LayerNormalization", [summed, *norm], "embedded", axis=-1, epsilon=EPSILON)


def layer(graph: Graph, number: int, x: str, weights: list[str], output: str) -> str:
    """One of the six; `weights` are those of query, key, value, attention's output, and of the two that follow."""
    name, at = f"inner.encoder.layer.{number}.", f"layer_{number}_"
    parts = "query", "key", "value"
    asked = [
        graph.linear(x, weight, f"{name}attention.self.{part}.bias", at + part)
        for part, weight in zip(parts, weights, strict=False)
    ]
    attended = graph.node("MultiHeadAttention", [*asked, "", "mask"], at + "attention", MICROSOFT, num_heads=HEADS)
    dense = graph.linear(attended, weights[3], f"{name}attention.output.dense.bias", at + "attended")
    between = graph.summed_norm(x, dense, f"{name}attention.output.LayerNorm", at + "between")
    wide = graph.linear(between, weights[4], f"{name}intermediate.dense.bias", at + "wide")
    bent = graph.node("Gelu", [wide], at + "bent", MICROSOFT)
    narrow = graph.linear(bent, weights[5], f"{name}output.dense.bias", at + "narrow")
    return graph.summed_norm(between, narrow, f"{name}output.LayerNorm", output)


def build(path: Path) -> onnx.ModelProto:
    """The graph for the model file at `path`."""
    graph = Graph(path)
    weights = [name[:-2] for name in graph.tensors if name.startswith("val_") and name.endswith("_q")]
    each = len(weights) // LAYERS
    x = embeddings(graph)
    graph.node("Cast", ["attention_mask"], "mask", to=TensorProto.INT32)
    for number in range(LAYERS):
        output = "last_hidden_state" if number == LAYERS - 1 else f"layer_{number}"
        x = layer(graph, number, x, weights[number * each : (number + 1) * each], output)
    tokens = ["batch", "tokens"]
    inputs = [helper.make_tensor_value_info(n, TensorProto.INT64, tokens) for n in ("input_ids", "attention_mask")]
    outputs = [helper.make_tensor_value_info(x, TensorProto.FLOAT, [*tokens, 384])]
    made = helper.make_graph(graph.nodes, "all-MiniLM-L6-v2", inputs, outputs, list(graph.initializers.values()))
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(MICROSOFT, 1)]
    model = helper.make_model(made, opset_imports=opsets, producer_name="memory-mgr")
    model.ir_version = 8
    return model


if __name__ == "__main__":
    Path(sys.argv[2]).write_bytes(build(Path(sys.argv[1])).SerializeToString(deterministic=True))
