"""One form for graphs that compute the same: equal models give equal bytes.

tf2onnx names and orders what it makes by counters, by the names of Keras' layers and by sets, which differ from process
to process. Here every value has a digest of how it is computed, down to the constants and the inputs. Digests order the
nodes and give values their names; what is computed twice is computed once.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Value:
    """A value of a graph. depth: of the longest path to it from an input or a constant."""

    digest: str
    depth: int = 0


Seen = dict[str, Value]  # the values that a node can see, by the name that tf2onnx gave them
Names = dict[str, str]  # the new name of a value, by its digest
NOTHING = Value("")  # an input that a node leaves out


def canonical(proto: Any) -> Any:
    """The same onnx.ModelProto in the one form. Its inputs and outputs keep their names."""
    import onnx

    found = onnx.ModelProto(ir_version=proto.ir_version, producer_name="ratchet")
    found.opset_import.extend(sorted(proto.opset_import, key=lambda one: one.domain))
    seen = {value.name: Value(_digest("input", value.name)) for value in proto.graph.input}
    names = {seen[value.name].digest: value.name for value in proto.graph.input}
    found.graph.CopyFrom(_written(proto.graph, seen, names, "model"))
    found.graph.input.extend(proto.graph.input)
    for made, value in zip(found.graph.output, proto.graph.output, strict=True):
        _rename(found.graph, made.name, value.name)
        made.CopyFrom(value)
    return found


def _written(graph: Any, seen: Seen, names: Names, name: str) -> Any:
    """An onnx.GraphProto without inputs. seen, names: of what lies around the graph and of its inputs; they grow."""
    import onnx

    constants = {}
    for tensor in graph.initializer:
        seen[tensor.name] = Value(_digest("constant", *_tensor(tensor)))
        constants[seen[tensor.name].digest] = tensor
    nodes: dict[str, tuple[int, Any]] = {}
    for node in graph.node:
        depth, digest = _measure(node, seen, name)
        nodes.setdefault(digest, (depth, node))
    found = onnx.GraphProto(name=name)
    for digest, (_, node) in sorted(nodes.items(), key=lambda item: (item[1][0], item[0])):
        for source in node.input:
            _add_constant(found, seen.get(source, NOTHING).digest, constants, names)
        for index, output in enumerate(node.output):
            if output:
                names[_digest(digest, index)] = f"{name}/{len(found.node)}/{index}"
        found.node.append(_renamed(node, seen, names, f"{name}/{len(found.node)}"))
    for value in graph.output:
        _add_output(found, seen[value.name].digest, constants, names)
    return found


def _measure(node: Any, seen: Seen, name: str) -> tuple[int, str]:
    """The depth and the digest of a node, whose outputs are seen from now on. name: of its graph."""
    inputs = [seen.get(source, NOTHING) for source in node.input]
    attributes, depths = [], [value.depth for value in inputs]
    for attribute in sorted(node.attribute, key=lambda one: one.name):
        if not attribute.HasField("g"):
            attributes.append(_attribute(attribute))
            continue
        inner = seen | _inputs(attribute.g, name)
        depths += [seen[used].depth for used in _used(attribute.g) if used in seen]
        attributes.append(_digest(attribute.name, *_outputs(attribute.g, inner, name)))
    depth, there = 1 + max(depths, default=0), [bool(output) for output in node.output]
    digest = _digest(node.domain, node.op_type, there, attributes, [value.digest for value in inputs])
    for index, output in enumerate(node.output):
        seen[output] = Value(_digest(digest, index), depth)
    return depth, digest


def _inputs(graph: Any, name: str) -> Seen:
    """The inputs of a graph inside a node of the graph `name`."""
    return {value.name: Value(_digest("inner", name, place)) for place, value in enumerate(graph.input)}


def _outputs(graph: Any, seen: Seen, name: str) -> list[str]:
    """The digests of the outputs of a graph inside a node of the graph `name`."""
    for tensor in graph.initializer:
        seen[tensor.name] = Value(_digest("constant", *_tensor(tensor)))
    for node in graph.node:
        _measure(node, seen, f"{name}/inner")
    return [seen[value.name].digest for value in graph.output]


def _used(graph: Any) -> Iterator[str]:
    """The names of all values that a graph, or a graph inside it, takes or gives."""
    for node in graph.node:
        yield from node.input
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _used(attribute.g)
    yield from (value.name for value in graph.output)


def _renamed(node: Any, seen: Seen, names: Names, name: str) -> Any:
    """The onnx.NodeProto with the new names."""
    import onnx

    found = onnx.NodeProto(op_type=node.op_type, domain=node.domain, name=name)
    found.input.extend(names[seen[source].digest] if source else "" for source in node.input)
    found.output.extend(names[seen[output].digest] if output else "" for output in node.output)
    for attribute in sorted(node.attribute, key=lambda one: one.name):
        made = found.attribute.add()
        made.CopyFrom(attribute)
        made.doc_string = ""
        if attribute.HasField("g"):
            made.g.CopyFrom(_inside(attribute.g, seen, names, name))
    return found


def _inside(graph: Any, seen: Seen, names: Names, name: str) -> Any:
    """The onnx.GraphProto of a graph inside the node `name`."""
    outer = name.rpartition("/")[0]
    inputs = _inputs(graph, outer)
    own = {value.digest: f"{name}/input/{place}" for place, value in enumerate(inputs.values())}
    found = _written(graph, seen | inputs, names | own, name)
    for value, given in zip(inputs.values(), graph.input, strict=True):
        made = found.input.add()
        made.CopyFrom(given)
        made.name = own[value.digest]
    for made, value in zip(found.output, graph.output, strict=True):
        made.type.CopyFrom(value.type)
    return found


def _add_constant(graph: Any, digest: str, constants: dict[str, Any], names: Names) -> None:
    """Write a constant of the graph when it is first used."""
    from onnx import numpy_helper

    if digest in constants and digest not in names:
        names[digest] = f"{graph.name}/constant/{len(graph.initializer)}"
        graph.initializer.append(numpy_helper.from_array(numpy_helper.to_array(constants[digest]), names[digest]))


def _add_output(graph: Any, digest: str, constants: dict[str, Any], names: Names) -> None:
    """Add an output. One that no node of the graph computes, or that is an output already, is copied by a node."""
    _add_constant(graph, digest, constants, names)
    name, made = names[digest], {output for node in graph.node for output in node.output}
    if name not in made or name in {value.name for value in graph.output}:
        copied = f"{graph.name}/output/{len(graph.output)}"
        graph.node.add(op_type="Identity", name=copied, input=[name], output=[copied])
        name = copied
    graph.output.add(name=name)


def _rename(graph: Any, old: str, new: str) -> None:
    for node in graph.node:
        node.input[:] = [new if name == old else name for name in node.input]
        node.output[:] = [new if name == old else name for name in node.output]


def _attribute(attribute: Any) -> str:
    if attribute.HasField("t"):
        return _digest(attribute.name, *_tensor(attribute.t))
    return _digest(attribute.name, attribute.SerializeToString(deterministic=True))


def _tensor(tensor: Any) -> tuple[int, list[int], str]:
    """Kind, shape and the hash of the values of an onnx.TensorProto, however it stores them."""
    from onnx import numpy_helper

    values = numpy_helper.to_array(tensor)
    content = repr(values.tolist()).encode() if values.dtype == object else values.tobytes()
    return tensor.data_type, list(tensor.dims), hashlib.sha256(content).hexdigest()


def _digest(*parts: Any) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()
