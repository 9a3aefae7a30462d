"""One folder per finding: the failing section as a GraphDef, a script that shows the failure, the facts.

The script needs tensorflow and coremltools and nothing of ours.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from textwrap import indent
from typing import Any

from bisect_convert.arguments.as_code import argument_code, step_code
from bisect_convert.model.graph import Model
from bisect_convert.model.installed import versions
from bisect_convert.probe.prober import Prober
from bisect_convert.render.anonymous import anonymous
from bisect_convert.render.issue import issue
from bisect_convert.report.findings import Finding
from bisect_convert.report.plain import finding_to_dict
from bisect_convert.search.found import Found

__all__ = ["script", "write_repro"]

_SCRIPT = '''\
"""Shows one failure of coremltools.convert on a section of a model, as bisect-convert found it.

Model: {model}
To blame: {blamed}
Exit status: 1 it fails as recorded, 0 it converts, 2 it fails in another way.
"""

import pathlib
import re
import sys

import coremltools as ct
import numpy as np
import tensorflow as tf
from tensorflow.python.eager import context

RECORDED = {recorded}

graph = tf.compat.v1.GraphDef()
graph.ParseFromString((pathlib.Path(__file__).resolve().parent / "section.pb").read_bytes())

# coremltools reads the bodies of loops and conditionals from TensorFlow's eager context, not from the GraphDef.
context.ensure_initialized()
for function in graph.library.function:
    context.context().add_function_def(function)


def plain(error_type, message):
    """The error without numbers, which differ from run to run."""
    return error_type, re.sub(r"\\d+", "#", message.strip().split("\\n")[0])


try:
    {kept}ct.convert(
        graph,
        source="tensorflow",
        skip_model_load=True,
{arguments}    )
{step}except Exception as error:
    print(f"{{type(error).__name__}}: {{error}}")
    sys.exit(1 if plain(type(error).__name__, str(error)) == plain(*RECORDED) else 2)
print("It converts.")
'''


def script(finding: Finding, model: str, arguments: Mapping[str, Any], recorded: tuple[str, str]) -> str:
    """Return the program that converts section.pb with these packed arguments; `recorded`: the error's type and text.

    What it takes from the model stands in it as escaped literals only.
    """
    lines = ""
    for name, value in arguments.items():
        if name == "optimize":
            continue
        if name == "conversions":
            lines += f"        # here belong the conversions that were registered: {ascii(', '.join(value))}\n"
            continue
        code = argument_code(name, value)
        lines += (
            f"        # {name}: an op selector, which cannot be written down\n"
            if code is None
            else f"        {name}={code},\n"
        )
    blamed = ", ".join(f"{c.op} {c.name}" for c in finding.culprits) or "the arguments of the call"
    step = indent(step_code(arguments["optimize"]), "    ") if "optimize" in arguments else ""
    return _SCRIPT.format(
        model=_quoted(model), blamed=_quoted(blamed[:400]), recorded=_literal(recorded), arguments=lines, step=step,
        kept="model = " if step else "",
    )  # fmt: skip


def _literal(recorded: tuple[str, str]) -> str:
    kind, message = recorded
    return f"(\n    {ascii(kind)},\n    {ascii(message)},\n)"


def _quoted(text: str) -> str:
    """The text as it may stand in a docstring."""
    return ascii(text)[1:-1].replace("\\", "\\\\").replace('"', "'")


def write_repro(found: Found, finding: Finding, prober: Prober, folder: Path, *, hidden: bool = False) -> Finding:
    """Write section.pb, repro.py, issue.md and finding.json into the folder; returns the finding with the script's path.

    hidden: no name of the model is in issue.md.
    Where the witness cannot be cut out the finding comes back as it was. Raises OSError for an unwritable folder.
    """
    made = prober.errands.carve(found.witness, folder, found.failure, prober.options)
    if made is None:
        return finding
    finding = replace(finding, repro=str(folder / "repro.py"))
    text = script(finding, prober.model.path or "in memory", made["options"], (made["type"], made["message"]))
    (folder / "repro.py").write_text(text, encoding="utf-8")
    code = made.get("code")
    whole = None if code is None else code + _conversion(made["options"])
    told, whole = anonymous(finding, whole, _names(prober.model)) if hidden else (finding, whole)
    text = issue(told, whole, versions(), platform.platform(terse=True))
    (folder / "issue.md").write_text(text, encoding="utf-8")
    facts = json.dumps(finding_to_dict(finding), indent=2)
    (folder / "finding.json").write_text(facts + "\n", encoding="utf-8")
    return finding


def _names(model: Model) -> set[str]:
    """Names of the model's ops, layers and functions, of itself and of what enters and leaves it."""
    names = {*model.graphs, *model.names, *filter(None, (model.path, Path(model.path).name, Path(model.path).stem))}
    for graph in model.graphs.values():
        names |= {name for op in graph.ops.values() for name in (op.name, op.layer, op.source) if name}
    return names - {""}


def _conversion(options: Mapping[str, Any]) -> str:
    """The lines that convert the function `section` with these packed arguments."""
    words = {n: argument_code(n, value) for n, value in options.items() if n not in ("optimize", "conversions")}
    given = "".join(f", {name}={value}" for name, value in words.items() if value is not None)
    step = f"\n{step_code(options['optimize'])}" if "optimize" in options else ""
    call = f'ct.convert([section.get_concrete_function()], source="tensorflow", skip_model_load=True{given})'
    numpy = "import numpy as np\n" * ("np." in call + step)
    return f"\n\nimport coremltools as ct\n{numpy}\nmodel = {call}\n{step}"
