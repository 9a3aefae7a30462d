"""What an app has to do around a model whose boundary was moved, as part of the script that converts it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from bisect_convert.fix.step import Step
from bisect_convert.model.names import in_core_ml
from bisect_convert.report.fix import State

__all__ = ["app_code", "told"]

_SUFFIX = "_to_app"
_FUNCTION = '''

def in_tensorflow(path: str, given: dict[str, Any], wanted: list[str]) -> dict[str, Any]:
    """Return tensors of the TensorFlow model, given those that lead to them, all by name."""
    traced_function, _owner = traced(path)
    function = convert_variables_to_constants_v2(traced_function, lower_control_flow=False, aggressive_inlining=True)
    tensor = function.graph.get_tensor_by_name
    handles = {inner.name: outer for outer, inner in traced_function.graph.captures}
    tables = [t for t in function.inputs if t.name in handles]
    part = function.prune([*map(tensor, given), *tables], [tensor(name) for name in wanted])
    values = [tf.cast(tf.constant(value), tensor(name).dtype) for name, value in given.items()]  # Core ML has no int64
    made = part(*values, *(handles[t.name] for t in tables))
    return dict(zip(wanted, made, strict=True))


def tables(path: str) -> dict[str, list[tuple[Any, Any]]]:
    """Return what is in each table that the TensorFlow model looks up in, by the name of the op: keys with their values."""
    traced_function, _owner = traced(path)
    function = convert_variables_to_constants_v2(traced_function, lower_control_flow=False, aggressive_inlining=True)
    handles = {inner.op.name: outer for outer, inner in traced_function.graph.captures}
    found = {}
    for op in function.graph.get_operations():
        if op.type == "LookupTableFindV2":
            source = op.inputs[0].op
            while source.type == "Identity":
                source = source.inputs[0].op
            keys, values = tf.raw_ops.LookupTableExportV2(
                table_handle=handles[source.name], Tkeys=op.inputs[1].dtype, Tvalues=op.outputs[0].dtype
            )
            found[op.name] = sorted(zip(keys.numpy().tolist(), values.numpy().tolist(), strict=True), key=lambda r: r[1])
    return found
'''
_GRAPH = '''

def in_tensorflow(path: str, given: dict[str, Any], wanted: list[str]) -> dict[str, Any]:
    """Return tensors of the TensorFlow model, given those that lead to them, all by name."""
    with tf.compat.v1.Session(graph=imported(frozen(path))) as session:
        return dict(zip(wanted, session.run(wanted, given), strict=True))
'''
_BEFORE = '''

def before(path: str, inputs: dict[str, Any]) -> dict[str, Any]:
    """Return what the Core ML model is given, from what the TensorFlow model is given, by the names of the inputs."""
    starts = {starts}
    made = in_tensorflow(path, {{f"{{name}}:0": value for name, value in inputs.items()}}, list(starts.values()))
    return {{name: made[tensor] for name, tensor in starts.items()}}
'''
_AFTER = '''

def after(path: str, outputs: dict[str, Any]) -> dict[str, Any]:
    """Return what the TensorFlow model gives, from what the Core ML model gives under these names."""
    ends, kept = {ends}, {kept}
    given = {{ends[name]: value for name, value in outputs.items() if name in ends}}
    made = in_tensorflow(path, given, {results})
    return {{**made, **{{kept[name]: value for name, value in outputs.items() if name in kept}}}}
'''
_TABLES = """\
    for number, rows in enumerate(tables(arguments.model).values()):  # the key and its value, a line for each
        with open(f"{arguments.out.rpartition('.')[0]}.table{number}.tsv", "w", encoding="utf-8") as file:
            for key, value in rows:
                key = key.decode("utf-8", "replace") if isinstance(key, bytes) else str(key)
                file.write(f"{' '.join(key.split())}\\t{value}\\n")
"""


def app_code(kind: str, steps: Sequence[Step], results: Sequence[str], originals: Sequence[str]) -> str:
    """Return the functions that do in TensorFlow what the app has to do before and after; none where nothing was moved.

    kind: of the model, "saved_model", "keras" or "pb"; results: the ops that make the converted model's outputs;
    originals: those that make the TensorFlow model's.
    """
    starts = _starts(steps)
    beside = {s.op for s in steps if s.recipe == "passes_by"}
    originals = [name for name in originals if name not in beside]
    ends = {in_core_ml(name): _tensor(name) for name in results if name.endswith(_SUFFIX)}
    if not starts and not ends:
        return ""
    text = _GRAPH if kind == "pb" else _FUNCTION
    if starts:
        text += _BEFORE.format(starts=_pairs(starts))
    if ends:
        kept = [name for name in originals if name in results]
        same = _pairs({in_core_ml(name): f"{name}:0" for name in kept})
        behind = [name for name in originals if name not in kept]
        text += _AFTER.format(ends=_pairs(ends), kept=same, results=_literals(behind))
    return text


def told(kind: str, steps: Sequence[Step], state: Sequence[State] = ()) -> str:
    """Return the statements by which the model says where its boundary is and what is handed on from call to call, and by
    which its tables are written.
    """
    kept = json.dumps([asdict(s) for s in state])
    handed = f'    model.user_defined_metadata["state"] = {ascii(kept)}\n' if state else ""
    starts = _starts(steps)
    ends = [s.at for s in steps if s.recipe == "ends_before"]
    said = [f"it starts at {', '.join(t.removesuffix(':0') for t in starts.values())}"] if starts else []
    said += [f"it ends before {', '.join(ends)}"] if ends else []
    said += [f"{s.at} is the app's own" for s in steps if s.recipe == "passes_by"]
    if not said:
        return handed
    line = f'    model.user_defined_metadata["boundary"] = {ascii("; ".join(said) + ": the app does the rest")}\n'
    return handed + line + (_TABLES if (starts or ends) and kind != "pb" else "")


def _starts(steps: Sequence[Step]) -> dict[str, str]:
    """The inputs that an app makes, and the tensors of the TensorFlow model that they are."""
    found = {}
    for step in (s for s in steps if s.recipe == "starts_here"):
        number = step.attributes.get("number", "0")
        behind = "" if number == "0" else f"_result{number}"
        found[in_core_ml(f"{step.op}{behind}")] = f"{step.op}:{number}"
    return found


def _pairs(named: Mapping[str, str]) -> str:
    """The code of a dict of escaped literals."""
    return f"{{{', '.join(f'{ascii(name)}: {ascii(value)}' for name, value in named.items())}}}"


def _literals(ops: Sequence[str]) -> str:
    """The first results of these ops, as escaped literals."""
    return f"[{', '.join(ascii(f'{name}:0') for name in ops)}]"


def _tensor(name: str) -> str:
    """The tensor that an output for the app hands on."""
    op, _, number = name.removesuffix(_SUFFIX).rpartition("_")
    return f"{op}:{number}"
