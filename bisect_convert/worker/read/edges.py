"""The form of a model without what reads data, or works with strings or tables, at its edges: stages before and behind it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import tensorflow as tf

from bisect_convert.model.facts import EDGES, Variant
from bisect_convert.model.names import op_of
from bisect_convert.worker.read.reading import Reading
from bisect_convert.worker.read.variants import needed_only, passed_on
from bisect_convert.worker.read.writing import shaped, write_facts
from bisect_convert.worker.rewrite.editing import imported
from bisect_convert.worker.rewrite.edits import Edit
from bisect_convert.worker.rewrite.frontier import moved

__all__ = ["without_edges", "write_variants"]

_STRING = tf.string.as_datatype_enum
_OF_STRINGS = re.compile("LookupTable|String|^Decode|^Encode|^Parse|Regex|Unicode|Substr|^IteratorGetNext")
#: Ends by which only a session that trains takes hold of its data.
_DATASETS = ("Dataset", "DatasetV2", "DatasetV3")
_OF_DATA = frozenset({"IteratorToStringHandle", "MakeIterator"})
_MARKS = {"starts_here": "", "ends_before": ":end", "passes_by": ":by"}


def write_variants(
    found: Sequence[tuple[Variant, Any]], graph_def: Any, folder: Path, reading: Reading
) -> tuple[Variant, ...]:
    """Write the facts of the model's variants, and of the last of them without stages at its edges; returns them all."""
    for variant, without in found:
        (folder / variant.folder).mkdir(exist_ok=True)
        write_facts(shaped(without), folder / variant.folder, replace(reading, state=passed_on(graph_def, variant)))
    last = shaped(found[-1][1] if found else graph_def)
    return (*(v for v, _ in found), *_write_without_edges(last, folder, reading))


def _write_without_edges(graph_def: Any, folder: Path, reading: Reading) -> list[Variant]:
    """Write the facts of the model without such stages into a folder of its own; returns that variant, or nothing."""
    if (found := without_edges(graph_def, [op_of(o) for o in reading.outputs])) is None:
        return []
    variant, without, results = found
    (folder / variant.folder).mkdir(exist_ok=True)
    write_facts(shaped(without), folder / variant.folder, replace(reading, outputs=results))
    return [variant]


def without_edges(graph_def: Any, results: list[str]) -> tuple[Variant, Any, tuple[str, ...]] | None:
    """Return the variant, its graph and what that ends in; None where there are no such stages, or they are no edges.

    results: the names of the ops that the model ends in, all that nothing reads if there are none.
    blamed: the ops of the stages; about: where the model begins then, and where it ends. Like all variants it is a suspicion.
    """
    if not any(_OF_STRINGS.search(n.op) or _reads_strings(n) for n in graph_def.node):
        return None
    results = results or _sinks(graph_def)
    held = [n.name for n in graph_def.node if n.name in results and (n.op in _OF_DATA or n.op.endswith(_DATASETS))]
    if held:
        results = [r for r in results if r not in held]
        graph_def = needed_only(graph_def, results)
    try:
        found = moved(graph_def, results, (), frozenset())
    except Exception:  # a graph that cannot be taken apart so has no such form
        return None
    if found is None:
        return None
    about = [f"{e.op}{_number(e)}{_MARKS[e.recipe]}" for e in sorted(found.edits, key=_in_order)]
    left = tuple(sorted({*found.left, *held}))
    program = needed_only(found.program, found.results) if held else found.program  # datasets end in nothing then
    return Variant(EDGES, "without_edges", left, tuple(about)), program, found.results


def _number(edit: Edit) -> str:
    """The result's number behind the op's name, where the model starts at another than its first."""
    return f":{edit.given['number']}" if edit.given.get("number") else ""


def _in_order(edit: Edit) -> tuple[str, int]:
    return edit.op, edit.given.get("number", 0)


def _sinks(graph_def: Any) -> list[str]:
    ops = imported(graph_def).get_operations()
    return [op.name for op in ops if op.outputs and not any(t.consumers() for t in op.outputs)]


def _reads_strings(node: Any) -> bool:
    return node.op.startswith("Placeholder") and bool(node.attr["dtype"].type == _STRING)
