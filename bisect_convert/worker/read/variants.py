"""Forms of a model without a cause that is no op: what training left in it, its switches, variables that were never frozen.

Each is found by reading the graph and is no more than a suspicion: whoever has it converts it, and sees.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Any

import tensorflow as tf

from bisect_convert.model.facts import DEFAULTS, LEFTOVERS, STATE, Variant
from bisect_convert.model.names import in_core_ml, op_of
from bisect_convert.report.fix import State
from bisect_convert.worker.nodes import data, rewire
from bisect_convert.worker.read.defaults import default_of, switches, with_default_values, with_defaults
from bisect_convert.worker.rewrite.editing import imported

__all__ = ["needed_only", "passed_on", "switched", "variants", "with_state"]

v1 = tf.compat.v1

#: Op types that only training, or saving what came of it, needs: without one of them nothing is called left over.
_TRAINING = re.compile(
    r"(Save|Restore|MergeV2Checkpoints|(Resource)?(Sparse)?Apply[A-Z]|Write\w*Summary|(Merge|Scalar|Histogram|Image|Audio|Tensor)Summary)"
)
#: What training has beside these: losses, and what `tf.gradients` makes in a scope of its own.
_LOSSES = frozenset({"SoftmaxCrossEntropyWithLogits", "SparseSoftmaxCrossEntropyWithLogits", "CTCLoss", "CTCLossV2"})
_SLOPES = frozenset({"BroadcastGradientArgs", "ReluGrad", "SigmoidGrad", "TanhGrad", "MaxPoolGrad", "BiasAddGrad",
                     "Conv2DBackpropFilter", "FusedBatchNormGrad", "FusedBatchNormGradV3"})  # fmt: skip
_GRADIENT = re.compile(r"gradients(_\d+)?/")
_VARIABLES = frozenset({"VariableV2", "Variable", "VarHandleOp"})
_ASSIGNS = {"Assign": None, "AssignVariableOp": None, "AssignAdd": "AddV2", "AssignAddVariableOp": "AddV2",
            "AssignSub": "Sub", "AssignSubVariableOp": "Sub"}  # fmt: skip


def needed_only(graph_def: Any, outputs: Iterable[str]) -> Any:
    """Return the GraphDef with what its outputs need, as the converter takes it where they are named; all, if none is there."""
    names = {n.name for n in graph_def.node}
    wanted = [op_of(o) for o in outputs]
    if not wanted or not names.issuperset(wanted):
        return graph_def
    return v1.graph_util.extract_sub_graph(graph_def, wanted)


def variants(graph_def: Any, outputs: Iterable[str], inputs: Collection[str]) -> list[tuple[Variant, Any]]:
    """Return the suspicions, each with the graph without it and without those before it.

    outputs, inputs: those that the caller named.
    """
    found: list[tuple[Variant, Any]] = []
    if not tuple(outputs):
        ends, left = _ends(graph_def)
        if left and ends:
            graph_def = v1.graph_util.extract_sub_graph(graph_def, ends)
            found.append((Variant(LEFTOVERS, "without_leftovers", tuple(left), tuple(ends)), graph_def))
    if decided := switched(graph_def, inputs):
        found += decided
        graph_def = decided[-1][1]
    variables = [n.name for n in graph_def.node if n.op in _VARIABLES and _known(n)]
    if variables:
        nodes = {n.name: n for n in graph_def.node}
        written = [a for n in variables for a in _writers(graph_def, n) if not _initial(nodes[a], nodes)]
        graph_def = with_state(graph_def, variables)
        found.append((Variant(STATE, "with_state", tuple(variables), tuple(written)), graph_def))
    return found


def switched(graph_def: Any, inputs: Collection[str]) -> list[tuple[Variant, Any]]:
    """Return the suspicion that switches of training, or other scalars with defaults, are in the way; or nothing.

    inputs: those that the caller named. It may well want one without a default, and cannot have one with: the converter
    takes none of these for an input.
    """
    found = {*with_default_values(graph_def), *(n for n in switches(graph_def) if n not in inputs)}
    names = [n.name for n in graph_def.node if n.name in found]
    if not names:
        return []
    values = [str(default_of(graph_def, name)) for name in names]
    try:
        made = with_defaults(graph_def, names)
        imported(made)
    except Exception:  # more hangs on them than a graph of inference holds: there is no such form
        return []
    return [(Variant(DEFAULTS, "with_defaults", tuple(names), tuple(values)), made)]


def passed_on(graph_def: Any, variant: Variant) -> tuple[State, ...]:
    """Return which output is which variable the next time, where one op assigns it; what it held at first is not known."""
    nodes = {n.name: n for n in graph_def.node if n.name in variant.blamed and variant.kind == STATE}
    written = {name: _writers(graph_def, name) for name in nodes}
    return tuple(
        State(
            in_core_ml(name), in_core_ml(written[name][0]), name, tf.as_dtype(node.attr["dtype"].type).name,
            tuple(tf.TensorShape(node.attr["shape"].shape).as_list()),
        )
        for name, node in nodes.items() if len(written[name]) == 1
    )  # fmt: skip


def with_state(graph_def: Any, names: Iterable[str]) -> Any:
    """Return the GraphDef with these variables as inputs, and what is assigned to them as outputs."""
    variables = {n.name: n for n in graph_def.node if n.name in set(names)}
    handed = _handed_on(graph_def, variables)
    made = v1.GraphDef()
    made.versions.CopyFrom(graph_def.versions)
    made.library.CopyFrom(graph_def.library)
    for node in graph_def.node:
        copy = made.node.add()
        copy.CopyFrom(node)
        rewire(copy, waits=lambda op: False)  # nothing is assigned any more that a reading would have to wait for
        copy.attr.pop("_class", None)
        copy.attr.pop("_output_shapes", None)
        read = next((op_of(i) for i in data(node) if op_of(i) in handed), None)
        if node.name in variables:
            _become(copy, "Placeholder", dtype=node.attr["dtype"], shape=node.attr["shape"])
        elif node.op == "ReadVariableOp" and read:
            _become(copy, "Identity", T=node.attr["dtype"])
        elif node.op in _ASSIGNS and read:
            dtype = node.attr["T"] if "T" in node.attr else node.attr["dtype"]
            _become(copy, _ASSIGNS[node.op] or "Identity", T=dtype)
            if _ASSIGNS[node.op] is None:
                rewire(copy, tensors=data(node)[1:2])
        elif node.op in ("IsVariableInitialized", "VarIsInitializedOp") and read:
            _become(copy, "Const", dtype=v1.AttrValue(type=tf.bool.as_datatype_enum))
            copy.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(True))
            rewire(copy, tensors=())
    return made


def _become(node: Any, op: str, **attributes: Any) -> None:
    kept = {name: v1.AttrValue.FromString(value.SerializeToString()) for name, value in attributes.items()}
    node.op = op
    node.attr.clear()
    for name, value in kept.items():
        node.attr[name].CopyFrom(value)


def _known(node: Any) -> bool:
    """True where the variable has a shape that an input may have."""
    return bool(tf.TensorShape(node.attr["shape"].shape).is_fully_defined())


def _handed_on(graph_def: Any, variables: Iterable[str]) -> set[str]:
    """The variables, and the Enter and Identity ops that hand their handles on."""
    handed = set(variables)
    for _ in range(3):
        handed |= {
            n.name for n in graph_def.node
            if n.op in ("Identity", "Enter") and n.attr["T"].type == tf.resource.as_datatype_enum
            and op_of(data(n)[0]) in handed
        }  # fmt: skip
    return handed


def _writers(graph_def: Any, variable: str) -> list[str]:
    return [n.name for n in graph_def.node if n.op in _ASSIGNS and op_of(data(n)[0]) == variable]


def _ends(graph_def: Any) -> tuple[list[str], list[str]]:
    """What the model itself ends in, and the ends that are left over from training."""
    nodes = {n.name: n for n in graph_def.node}
    read = {op_of(i.lstrip("^")) for n in graph_def.node for i in n.input}
    tainted = _tainted(nodes)
    ends = [n for n in nodes if n not in read and nodes[n].op not in ("NoOp", "Const", "Placeholder", "Assert")]
    left = [n for n in ends if n in tainted]
    own = [n for n in ends if n not in tainted and _computes(n, nodes)]
    return own or (_measured(nodes, tainted) if left else []), left


def _measured(nodes: dict[str, Any], tainted: set[str]) -> list[str]:
    """What only training reads: where it is the place of the largest, what that was picked from."""
    readers: dict[str, set[str]] = {}
    for name, node in nodes.items():
        for source in data(node):
            readers.setdefault(op_of(source), set()).add(name)
    last = [
        n for n in nodes if n not in tainted and readers.get(n, set()) and readers[n] <= tainted and _computes(n, nodes)
    ]
    picked = {op_of(data(nodes[n])[0]) if nodes[n].op == "ArgMax" else n for n in last}
    inputs = {n for n in picked if nodes[n].op.startswith("Placeholder")}
    return [n for n in nodes if n in picked - inputs]


def _tainted(nodes: dict[str, Any]) -> set[str]:
    """What belongs to training, and what needs something of it."""
    own = {n for n, node in nodes.items() if _TRAINING.match(node.op)}
    losses = any(node.op in _LOSSES for node in nodes.values())
    slopes = any(node.op in _SLOPES and _GRADIENT.match(n) for n, node in nodes.items())
    if not own and not (losses and slopes):  # a name is no evidence: a model may well give gradients
        return set()
    own |= {n for n, node in nodes.items() if _GRADIENT.match(n) or node.op in _LOSSES}
    own |= {n for n, node in nodes.items() if node.op in _ASSIGNS and _initial(node, nodes)}
    own |= {label for n in nodes.values() if n.op in _LOSSES and (label := _label(n, nodes)) is not None}
    readers: dict[str, list[str]] = {}
    for name, node in nodes.items():
        for source in node.input:
            readers.setdefault(op_of(source.lstrip("^")), []).append(name)
    todo, found = list(own), set(own)
    while todo:
        fresh = [r for r in readers.get(todo.pop(), []) if r not in found]
        found.update(fresh)
        todo += fresh
    return found


def _label(loss: Any, nodes: dict[str, Any]) -> str | None:
    """The input of the model that a loss takes for the labels: what hangs on it is measured in training only."""
    name = op_of(data(loss)[1]) if len(data(loss)) > 1 else ""
    while name in nodes and nodes[name].op in ("Identity", "Cast", "Reshape", "Squeeze", "StopGradient", "OneHot"):
        name = op_of(data(nodes[name])[0])
    return name if name in nodes and nodes[name].op.startswith("Placeholder") else None


def _initial(node: Any, nodes: dict[str, Any]) -> bool:
    """True for the assignment of a variable's first value: one that is made up, or was saved, and hangs on nothing given."""
    if len(data(node)) < 2 or _ASSIGNS[node.op] is not None:
        return False
    made = _upstream(op_of(data(node)[1]), nodes)
    if any(nodes[n].op.startswith("Restore") for n in made):
        return True
    return not any(nodes[n].op in _VARIABLES or nodes[n].op.startswith("Placeholder") for n in made)


def _upstream(name: str, nodes: dict[str, Any]) -> set[str]:
    """The op, and all whose results lead to it."""
    todo, seen = [name], {name}
    while todo:
        fresh = [s for i in data(nodes[todo.pop()]) if (s := op_of(i)) in nodes and s not in seen]
        seen.update(fresh)
        todo += fresh
    return seen


def _computes(name: str, nodes: dict[str, Any]) -> bool:
    """True where an input of the model leads to it."""
    return any(nodes[n].op.startswith("Placeholder") for n in _upstream(name, nodes))
