"""Failures of values, sizes, ranks and dtypes put into words: what is wanted, and where upstream it got lost."""

from __future__ import annotations

import re

from bisect_convert.explain.case import Case
from bisect_convert.explain.rules import Rule, Said, listed
from bisect_convert.model.graph import Graph, Op
from bisect_convert.model.names import BRANCHES
from bisect_convert.model.origins import Computed, computed_inputs, open_axes, parting, size_source, unknown_sizes
from bisect_convert.report.findings import TensorFact

__all__ = ["NEED_RULES"]


def _rank(case: Case) -> str | None:
    if "rank <= 5" not in case.message and not any(_high(c.outputs) for c in case.culprits):
        return None
    makers = [c for c in case.culprits if _high(c.outputs) and not _high(c.inputs)]
    workers = [c for c in case.culprits if _high(c.inputs) and c.op != "Identity"]
    if not makers:
        return None
    rank = max(len(t.shape or ()) for c in makers for t in c.outputs)
    text = (
        f"{listed([c.name for c in makers])} make{'s' * (len(makers) == 1)} a tensor of rank {rank}; Core ML has "
        "ranks up to 5 only."
    )
    if workers:
        text += f" {listed([c.name for c in workers])} work{'s' * (len(workers) == 1)} on it at that rank."
    return text


def _high(tensors: tuple[TensorFact, ...]) -> bool:
    return any(len(t.shape or ()) > 5 for t in tensors)


_VALUE_WANTED = ("must be const", "dynamic weights", "NoneType", "Unknown input", "scale factor", "SplitV", "reshape")


def _value_wanted(case: Case) -> tuple[str, str] | None:
    """Both ends: the op that needs the value, and the op from which on it is computed."""
    if not any(word in case.message for word in _VALUE_WANTED):
        return None
    for graph, op in case.ops:
        for computed in computed_inputs(graph, op):
            if not _is_size_only(graph, computed):
                return _both_ends(graph, op, computed), computed.name
    return None


def _is_size_only(graph: Graph, computed: Computed) -> bool:
    return computed.path[-1] in graph.shape_arithmetic


def _both_ends(graph: Graph, op: Op, computed: Computed) -> str:
    maker, first = computed.path[-1], computed.path[0]
    text = f"`{op.name}` needs the value of its input `{computed.name}` at conversion time, but it is computed"
    if maker == first:
        return f"{text}: it comes from {_kind(graph, first)}."
    later = [n for n in computed.path[1:] if not graph.ops[n].type.startswith("Identity")]
    start = later[0] if later else maker
    by = (
        ""
        if start == maker
        else f", and its value depends on {_kind(graph, first)} from `{start}` ({graph.ops[start].type}) on"
    )
    by = by or f", from {_kind(graph, first)}"
    return f"{text} by `{maker}` ({graph.ops[maker].type}){by}."


def _kind(graph: Graph, name: str) -> str:
    kind = graph.ops[name].type
    if kind == "Placeholder":
        return f"the {'input' if graph.name == '' else 'parameter'} `{name}`"
    return f"`{name}` ({kind})"


_SIZE_WANTED = re.compile(
    r"\bis\d+\b|[Ss]ymbol|dynamic shape|scale factor|known at compile time|as an integer|invalid index to scalar|"
    r"NoneType|perm should have|[Uu]nable to determine|Cannot add const|Cannot delete op"
)


def _unknown_size(case: Case) -> str | None:
    """The size that is not known, and the input dimension or the op that it comes from."""
    if not _SIZE_WANTED.search(case.message):
        return None
    for graph, op in reversed(case.ops) if case.interaction else case.ops:
        for tensor in unknown_sizes(graph, op):
            source = size_source(graph, tensor)
            axes = ", ".join(map(str, open_axes(source)))
            word = "axis" if len(open_axes(source)) == 1 else "axes"
            at = f"`{tensor.name}` at `{op.name}` has a size that is not known at conversion time"
            if source.op == tensor.op and graph.ops[source.op].type != "Placeholder":
                return f"{at}: `{source.op}` ({graph.ops[source.op].type}) makes it ({word} {axes})."
            return f"{at}; it comes from {_kind(graph, source.op)}, {word} {axes}."
    return None


def _split_rest(case: Case) -> str | None:
    splits = [c for c in case.culprits if c.op == "SplitV"]
    if not splits or not re.search(r"-1\b", case.message) or not case.interaction:
        return None
    return (
        f"`{splits[0].name}` leaves one of its sizes to be worked out, a -1. coremltools hands that -1 on as a "
        f"size, and `{case.culprits[-1].name}` fails on it."
    )


def _scalar(case: Case) -> str | None:
    scalars = [c for c in case.culprits if any(t.shape == () for t in c.inputs)]
    if "get_primitive" not in case.message or not scalars:
        return None
    return (
        f"`{scalars[0].name}` ({scalars[0].op}) is given a scalar; its conversion copes with tensors of rank 1 and "
        "more only."
    )


def _one_operand(case: Case) -> str | None:
    einsums = [c for c in case.culprits if c.op == "Einsum" and len(c.inputs) == 1]
    if not einsums or case.error_type != "IndexError":
        return None
    return f"`{einsums[0].name}` is an einsum of one operand; its conversion always reads two."


def _odd_tensors(case: Case) -> str | None:
    """Strings, complex numbers and resources, which Core ML does not have."""
    for word, what in (("string", "strings"), ("resource", "resources"), ("complex64", "complex numbers")):
        for culprit in case.culprits:
            tensors = [*culprit.outputs, *culprit.inputs]
            names = [t.tensor for t in tensors if t.dtype == word or (word == "complex64" and t.dtype == "complex128")]
            if names:
                return (
                    f"`{culprit.name}` works with {what} (`{names[0]}`), and Core ML has no tensors of "
                    f"{what}{_parts(word)}."
                )
    return None


def _parts(word: str) -> str:
    return (
        ": coremltools takes them apart into real and imaginary parts for a few ops only" if word == "complex64" else ""
    )


_DOMAIN = re.compile(r"Input (\w+)=\"?([^\"\s]+)\"? expects .*?type domain (\[[^\]]*\]) but got (\w+)(?:\[([^\]]*)\])?")


def _wrong_dtype(case: Case) -> str | None:
    match = _DOMAIN.search(case.message)
    if match is None or not case.culprits:
        return None
    name, _, domain, kind, inner = match.groups()
    got = _dtype((inner or kind).split(",")[-1])
    wanted = ", ".join(_dtype(w) for w in re.findall(r"'(\w+)'", domain))
    op = case.culprits[-1 if case.interaction else 0]
    return (
        f"`{op.name}` ({op.op}) is given {_article(got)} `{got}` tensor for the converter's `{name}`, which can "
        f"only be {wanted}."
    )


def _article(word: str) -> str:
    return "an" if word[:1] in "aeio" else "a"


def _dtype(word: str) -> str:
    return re.sub(r"^fp(?=\d)", "float", word)


_CONFLICT = re.compile(
    r"mismatch|[Bb]roadcast|[Ii]ncompatible|not compatible|same (shape|data type|dtype)|shapes? .*(match|differ)"
)


def _conflict(case: Case) -> str | None:
    """Which arms meet, and the op on each from which on they differ."""
    if not _CONFLICT.search(case.message) or not case.ops:
        return None
    graph, op = case.ops[-1]
    if op.type in BRANCHES:
        first = " ".join(case.message.split())[:300]
        return f"The branches of `{op.name}` do not give the same: {first}."
    for fact in ("dtype", "shape"):
        parts = parting(graph, case.context.arms, fact)
        if case.context.role == "join" and parts:
            ways = "; ".join(f"`{t.name}` is {getattr(t, fact)} from `{name}` on" for name, t in parts)
            return f"At `{op.name}` arms meet that differ in {fact}: {ways}."
    return None


NEED_RULES: dict[Rule, Said] = {
    Rule.RANK: _rank,
    Rule.VALUE_WANTED: _value_wanted,
    Rule.SPLIT_REST: _split_rest,
    Rule.UNKNOWN_SIZE: _unknown_size,
    Rule.WRONG_DTYPE: _wrong_dtype,
    Rule.SCALAR: _scalar,
    Rule.ONE_OPERAND: _one_operand,
    Rule.CONFLICT: _conflict,
    Rule.ODD_TENSORS: _odd_tensors,
}
