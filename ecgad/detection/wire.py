"""What an ONNX file holds, read off its bytes before any other program acts on them.

An ONNX file is a message of Protocol Buffers; the numbers of fields are those of onnx.proto.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

# All that exported detectors are made of: no loops, no branches, nothing that reads files.
OPERATORS = frozenset(
    {
        "Abs",
        "Add",
        "Cast",
        "Clip",
        "Concat",
        "Constant",
        "Conv",
        "ConvTranspose",
        "Div",
        "Equal",
        "Erf",
        "Exp",
        "Expand",
        "Flatten",
        "Gather",
        "GatherElements",
        "GatherND",
        "Gelu",
        "Gemm",
        "Greater",
        "Identity",
        "LSTM",
        "Less",
        "Log",
        "MatMul",
        "Max",
        "MaxPool",
        "Min",
        "Mul",
        "Neg",
        "Pad",
        "Pow",
        "Range",
        "ReduceMean",
        "ReduceSum",
        "Relu",
        "Reshape",
        "Resize",
        "Shape",
        "Sigmoid",
        "Slice",
        "Split",
        "Sqrt",
        "Squeeze",
        "Sub",
        "Tanh",
        "TopK",
        "Transpose",
        "Unsqueeze",
        "Where",
    }
)
# Of all messages together; no detector has a tenth of it.
MOST_FIELDS = 1_000_000

# Of ModelProto, GraphProto, NodeProto, AttributeProto and TensorProto.
GRAPH, METADATA, MODEL_FIELDS = 7, 14, {1, 2, 3, 4, 5, 6, 7, 8, 14}
NODE, INITIALIZER, SPARSE = 1, 5, 15
OPERATOR, ATTRIBUTE, DOMAIN = 4, 5, 7
# Of an attribute: a tensor, several; and what holds graphs or sparse tensors.
TENSOR, TENSORS, BELOW = 5, 10, {6, 11, 22, 23}
EXTERNAL, LOCATION = 13, 14
KEY, VALUE = 1, 2

Fields = Mapping[int, list[bytes | int]]


@dataclass(frozen=True)
class Model:
    """The parts of a file that are looked at: the bytes of its graph, and its metadata."""

    graph: bytes
    metadata: dict[str, str]


def read_model(content: bytes) -> Model:
    """Read the bytes of an ONNX file.

    Raises ValueError where they are none, or where the graph has other operators than those of
    exported detectors, or numbers that lie in other files.
    """
    read = _Reader().fields
    model = read(content)
    if unknown := model.keys() - MODEL_FIELDS:
        raise ValueError(f"no model of plain operators: it has field {min(unknown)}")
    if len(model[GRAPH]) != 1:
        raise ValueError("no graph")
    graph = _bytes(model[GRAPH][0])
    _check_graph(read(graph), read)
    entries = [read(_bytes(entry)) for entry in model[METADATA]]
    return Model(graph, {_text(of, KEY): _text(of, VALUE) for of in entries})


def _check_graph(graph: Fields, read: Callable[[bytes], Fields]) -> None:
    if graph[SPARSE]:
        raise ValueError("it has sparse numbers")
    tensors = list(graph[INITIALIZER])
    for content in graph[NODE]:
        node = read(_bytes(content))
        name, domain = _text(node, OPERATOR), _text(node, DOMAIN)
        if domain or name not in OPERATORS:
            raise ValueError(f"no detector has the operator {name[:60]!r} {domain[:60]}".rstrip())
        for attribute in map(read, map(_bytes, node[ATTRIBUTE])):
            if attribute.keys() & BELOW:
                raise ValueError(f"the operator {name} has a graph within")
            tensors += attribute[TENSOR] + attribute[TENSORS]
    for tensor in map(read, map(_bytes, tensors)):
        if tensor[EXTERNAL] or any(tensor[LOCATION]):
            raise ValueError("its numbers lie in another file")


class _Reader:
    """Reads messages, and no more fields in all than a detector may have."""

    def __init__(self) -> None:
        self.left = MOST_FIELDS

    def fields(self, content: bytes) -> Fields:
        """Split a message into its fields, by number. Raises ValueError where it is none."""
        found: dict[int, list[bytes | int]] = defaultdict(list)
        at = 0
        while at < len(content):
            self.left -= 1
            if self.left < 0:
                raise ValueError(f"it has more than {MOST_FIELDS:,} parts")
            key, at = _varint(content, at)
            match key & 7:
                case 0:
                    value, at = _varint(content, at)
                    found[key >> 3].append(value)
                    continue
                case 1:
                    size = 8
                case 2:
                    size, at = _varint(content, at)
                case 5:
                    size = 4
                case _:
                    raise ValueError("no message of Protocol Buffers")
            if at + size > len(content):
                raise ValueError("it ends too early")
            found[key >> 3].append(content[at : at + size])
            at += size
        return found


def _varint(content: bytes, at: int) -> tuple[int, int]:
    """Return a number, seven bits a byte, and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(content):
            raise ValueError("it ends too early")
        byte = content[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise ValueError("no message of Protocol Buffers")


def _bytes(value: bytes | int) -> bytes:
    if isinstance(value, int):
        raise ValueError("no message of Protocol Buffers")
    return value


def _text(fields: Fields, number: int) -> str:
    values = fields[number]
    return _bytes(values[-1]).decode() if values else ""
