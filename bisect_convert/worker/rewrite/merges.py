"""Conditionals that freezing took apart into switches and merges. Scripts that apply edits hold the text of this."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from bisect_convert.worker.rewrite.editing import fresh_nodes, imported

__all__ = ["branches_chosen"]

_SWITCHES = ("Switch", "_SwitchN")
#: Ops of loops taken apart, whose merges are another thing.
_TURNS = ("Enter", "Exit", "NextIteration", "LoopCond")


def branches_chosen(graph_def: Any, name: str) -> Any:
    """All branches of conditionals that were taken apart are computed, and `tf.where` chooses between their results."""
    graph = imported(graph_def)
    ops = _in_order(graph)
    if any(op.type in _TURNS for op in ops):
        raise ValueError(f"{name} may belong to a loop")
    within: dict[str, frozenset[tuple[str, int]]] = {}
    read: dict[str, str] = {}
    chosen: dict[str, Any] = {}
    alone: list[str] = []
    for op in ops:
        if op.type in _SWITCHES:
            for number, output in enumerate(op.outputs):
                within[output.name] = _around(op, within) | {(op.inputs[1].name, number)}
                read[output.name] = op.inputs[0].name
        elif op.type == "Merge":
            flag = _flag(op, within)
            around = frozenset(pair for pair in _around(op, within) if pair[0] != flag)
            within |= {output.name: around for output in op.outputs}
            with graph.as_default(), tf.name_scope(f"{op.name}/instead/"):
                made = _choice(graph.get_tensor_by_name(flag), _by_branch(op, flag, within))
            chosen[op.outputs[0].name] = made
            if not around:
                alone.append(op.outputs[0].name)
        else:
            around = _around(op, within)
            within |= {output.name: around for output in op.outputs} | {f"^{op.name}": around}
    if not chosen:
        raise ValueError("there is nothing to choose between")
    return _rewired(graph_def, graph, {**read, **{old: new.name for old, new in chosen.items()}}, alone)


def _in_order(graph: Any) -> list[Any]:
    """The ops, each behind all that it reads or waits for."""
    ordered: dict[str, Any] = {}
    todo = [(op, False) for op in reversed(graph.get_operations())]
    opened: set[str] = set()
    while todo:
        op, done = todo.pop()
        if done:
            ordered[op.name] = op
        elif op.name not in opened:
            opened.add(op.name)
            todo.append((op, True))
            todo += [(before, False) for before in (*(t.op for t in op.inputs), *op.control_inputs)]
    return list(ordered.values())


def _around(op: Any, within: dict[str, frozenset[tuple[str, int]]]) -> frozenset[tuple[str, int]]:
    """The branches, each as what decides and its number, that the op stands in."""
    sources = [*(t.name for t in op.inputs), *(f"^{c.name}" for c in op.control_inputs)]
    return frozenset().union(*(within.get(source, frozenset()) for source in sources))


def _flag(merge: Any, within: dict[str, frozenset[tuple[str, int]]]) -> str:
    """What decides between the inputs of the merge: each of them stands in another branch of it."""
    each = [within[t.name] for t in merge.inputs]
    for flag in sorted({name for name, _ in each[0]}):
        numbers = [[n for name, n in around if name == flag] for around in each]
        if all(len(n) == 1 for n in numbers) and len({n[0] for n in numbers}) == len(each):
            return flag
    raise ValueError("what decides between its inputs is not seen")


def _by_branch(merge: Any, flag: str, within: dict[str, frozenset[tuple[str, int]]]) -> list[Any]:
    """The inputs of the merge in the order of their branches."""
    if any(merge.outputs[1].consumers()):
        raise ValueError("the number of the branch is read")
    numbered = {next(n for name, n in within[t.name] if name == flag): t for t in merge.inputs}
    if sorted(numbered) != list(range(len(numbered))):
        raise ValueError("a branch gives nothing")
    return [numbered[n] for n in sorted(numbered)]


def _choice(flag: Any, results: list[Any]) -> Any:
    """The result of the branch that is taken: of the last one where the number is none of theirs."""
    first, *others = results
    for other in others:
        if first.dtype in (tf.variant, tf.resource, tf.string):
            raise ValueError(f"nothing chooses between two of {first.dtype.name}")
        if first.shape.rank is None or first.shape.as_list() != other.shape.as_list():
            raise ValueError(f"the branches make {first.shape} and {other.shape}")
    made = results[-1]
    for number, result in reversed(list(enumerate(results[:-1]))):
        taken = tf.logical_not(flag) if flag.dtype == tf.bool else tf.equal(flag, number)
        if result.dtype == tf.bool:
            made = tf.logical_or(tf.logical_and(taken, result), tf.logical_and(tf.logical_not(taken), made))
        else:
            made = tf.where(taken, result, made)
    return tf.identity(made)


def _rewired(graph_def: Any, graph: Any, read: dict[str, str], alone: list[str]) -> Any:
    """The GraphDef in which these tensors are read instead; `alone`: those that keep their names."""
    gone = {tensor.partition(":")[0] for tensor in read}
    made = tf.compat.v1.GraphDef()
    made.versions.CopyFrom(graph_def.versions)
    made.library.CopyFrom(graph_def.library)
    made.node.extend(n for n in [*graph_def.node, *fresh_nodes(graph_def, graph)] if n.name not in gone)
    for node in made.node:
        kept = [i for i in node.input if not (i.startswith("^") and i[1:] in gone)]
        node.input[:] = [_final(i, read) if not i.startswith("^") else i for i in kept]
    for tensor in alone:
        node = made.node.add(name=tensor.removesuffix(":0"), op="Identity", input=[_final(tensor, read)])
        node.attr["T"].type = graph.get_tensor_by_name(tensor).dtype.as_datatype_enum
    return made


def _final(tensor: str, read: dict[str, str]) -> str:
    """What is read in the end where the tensor was."""
    tensor = tensor if ":" in tensor else f"{tensor}:0"
    while tensor in read:
        tensor = read[tensor]
    return tensor.removesuffix(":0")
