"""OUT.fix.py: the edits and the conversion as a script of plain tensorflow, coremltools and numpy.

The functions that it needs are taken, as text, from the modules that workers apply them with.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import bisect_convert
from bisect_convert.arguments.as_code import argument_code, step_code
from bisect_convert.fix.app_code import app_code, told
from bisect_convert.fix.reading_code import Escaped, Source, reading_code
from bisect_convert.fix.step import Step
from bisect_convert.recipes import MODULES
from bisect_convert.render.fix_words import in_words
from bisect_convert.report.fix import State

__all__ = ["names_taken", "script"]

_ROOT = Path(bisect_convert.__file__).parent
_FILES = (
    "model/names.py",
    "worker/nodes.py",
    "worker/private_api/parts.py",
    *(f"worker/read/{name}.py" for name in ("handles", "variants", "defaults", "threaded", "stateful")),
    *(
        f"worker/rewrite/{name}.py"
        for name in (
            "editing",
            "splicing",
            "bits",
            "boundary",
            "calls",
            "loops",
            "in_parts",
            "merges",
            "checks",
            "constants",
            "ranks",
            "dtypes",
        )
    ),
    *(f"recipes/{name}.py" for name in MODULES),
)
_HEAD = '''\
"""Converts a TensorFlow model to Core ML, with edits of its frozen graph that bisect-convert found.

  python {name} MODEL {out} [--graph OUT.pb]

Model: {model}
{edits}"""

from __future__ import annotations

{imports}
'''
_MAIN = '''
EDITS: list[tuple[list[tuple[str, str]], Callable[..., Any], str, dict[str, Any]]] = [
{edits}]


def edited(graph_def: Any) -> Any:
    """Return the GraphDef with all edits, and nothing that no output needs."""
    before, weights = light(graph_def)
    graph_def = before
    for path, group in groupby(EDITS, lambda e: e[0]):
        graph_def = apply(graph_def, path, [partial(edit, name=name, **given) for _, edit, name, given in group])
    return heavy(read_still(pruned(graph_def, {results!r}), before), weights)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\\n")[0])
    parser.add_argument("model", metavar="MODEL")
    parser.add_argument("out", metavar="OUT")
    parser.add_argument("--graph", metavar="OUT.pb", help="also write the edited graph")
    arguments = parser.parse_args()
    graph_def = edited(frozen(arguments.model))
    if arguments.graph:
        with open(arguments.graph, "wb") as file:
            file.write(graph_def.SerializeToString())
    for function in graph_def.library.function:  # where coremltools looks for the bodies of loops and conditionals
        context.context().add_function_def(function)
    model = ct.convert(
        graph_def,
        source="tensorflow",
        skip_model_load=True,
{arguments}    )
{after}{boundary}    model.save(arguments.out)


if __name__ == "__main__":
    main()
'''


def script(
    source: Source, steps: Sequence[Step], results: Sequence[str], options: Mapping[str, Any], name: str, out: str,
    own: Mapping[str, str] | None = None, originals: Sequence[str] = (), state: Sequence[State] = (),
) -> str:  # fmt: skip
    """Return the script's text; what it takes from the model stands in it as escaped literals only.

    own: functions of the user's, by name, as text; originals: the ops that make the outputs of the model as it was;
    state: what an app hands on from call to call.
    """
    own = own or {}
    roots = {
        "apply",
        "heavy",
        "light",
        "pruned",
        "read_still",
        "shaped",
        *(["with_state"] if source.given else []),
        *(["with_defaults"] if source.defaults else []),
        *(["stateless"] if source.state else ["freeze"] if source.kind != "pb" else []),
        *(s.recipe for s in steps if s.recipe not in own),
        *("spliced" for s in steps if s.spliced),
    }
    taken = _taken(roots)
    body = "\n\n\n".join([*(text for _, text in taken), *(text.rstrip() for text in own.values())])
    kept = [code for n, v in options.items() if n not in ("optimize", "conversions") and (code := _argument(n, v))]
    after = ""
    if "optimize" in options:
        after = "".join(f"    {line}\n" if line else "\n" for line in step_code(options["optimize"]).splitlines())
    kind = "pb" if source.state else source.kind  # TensorFlow itself does not freeze it then
    main = _MAIN.format(
        edits="".join(_edit(step) for step in steps),
        results=Escaped(results),
        arguments="".join(kept),
        after=after,
        boundary=told(kind, steps, state),
    )
    text = f"{body}\n{reading_code(source)}{app_code(kind, steps, results, originals)}\n{main}"
    listed = "".join(f"  {n}. {_said(step)}\n" for n, step in enumerate(steps, 1))
    head = _HEAD.format(
        name=_quoted(name), out=_quoted(out), model=_quoted(source.path), imports=_imports(text, [m for m, _ in taken]),
        edits=(f"Edits:\n{listed}" if steps else "No edit is needed.\n" if not state else "") + _kept(state),
    )  # fmt: skip
    own_modules = "".join(f"import {name}  # of your own: have it on PYTHONPATH\n" for name in source.modules)
    return head + own_modules + "\n" + text


def _kept(state: Sequence[State]) -> str:
    rows = "".join(f"  {_quoted(in_words(s))}\n" for s in state)
    return f"Variables that it assigns are inputs and outputs:\n{rows}" if rows else ""


def names_taken() -> frozenset[str]:
    """Return the names that may stand for something in a script."""
    own = re.findall(r"^(?:def|class) (\w+)|^(\w+): ", _MAIN, flags=re.M)
    read = ("frozen", "traced", "known", "before", "after", "tables", "in_tensorflow", "tf", "ct", "np")
    defined = {name for module in _modules() for name in (*module.defined, *module.imports)}
    return frozenset({*defined, *read, *(name for pair in own for name in pair if name)})


def _said(step: Step) -> str:
    return f"{_quoted(step.at)}: {_quoted(step.summary)}"


def _argument(name: str, value: Any) -> str:
    if name == "classifier_config" and isinstance(value["class_labels"], list):
        value = {**value, "class_labels": Escaped(value["class_labels"])}
    code = argument_code(name, value)
    return f"        {name}={code},\n" if code is not None else ""


def _edit(step: Step) -> str:
    given = [f"{ascii(n)}: {code}" for n, code in step.attributes.items()]
    if step.spliced:
        given.insert(0, f'"function": {step.recipe}')
    path = ", ".join(f"({ascii(name)}, {ascii(role)})" for name, role in step.path)
    edit = "spliced" if step.spliced else step.recipe
    return f"    ([{path}], {edit}, {ascii(step.op)}, {{{', '.join(given)}}}),\n"


def _quoted(text: str) -> str:
    """The text as it may stand in a docstring."""
    return ascii(text)[1:-1].replace("\\", "\\\\").replace('"', "'")


@dataclass(frozen=True)
class _Module:
    """One module's text: its top-level definitions, and its imports by the name that they bind."""

    file: str
    defined: Mapping[str, str]
    imports: Mapping[str, str]


@lru_cache(maxsize=1)
def _modules() -> tuple[_Module, ...]:
    return tuple(_module(file) for file in _FILES)


def _module(file: str) -> _Module:
    text = (_ROOT / file).read_text(encoding="utf-8")
    lines = text.splitlines()
    defined, imports = {}, {}
    for node in ast.parse(text).body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            for alias in node.names:
                bound = f" as {alias.asname}" if alias.asname else ""
                line = f"import {alias.name}{bound}"
                if isinstance(node, ast.ImportFrom):
                    line = f"from {node.module} {line}"
                imports[alias.asname or alias.name] = line
            continue
        names = [node.name] if isinstance(node, (ast.FunctionDef, ast.ClassDef)) else []
        if isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = [t.id for t in targets if isinstance(t, ast.Name) and t.id != "__all__"]
        first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))])
        while first > 1 and lines[first - 2].startswith("#"):
            first -= 1
        for name in names:
            kept = "\n".join(lines[first - 1 : node.end_lineno])
            defined[name] = re.sub(r"  # (fmt: skip|noqa.*|type: ignore.*)$", "", kept, flags=re.M)
    return _Module(file, defined, imports)


def _taken(roots: Iterable[str]) -> list[tuple[_Module, str]]:
    """The definitions that these need, callees first where they are constants; private names that clash are told apart."""
    chosen: dict[tuple[str, str], _Module] = {}
    todo = [(m, n) for n in sorted(roots) for m in [_home(n)]]
    while todo:
        module, name = todo.pop()
        if (module.file, name) in chosen:
            continue
        chosen[module.file, name] = module
        words = set(re.findall(r"\b[A-Za-z_]\w*", module.defined[name])) - {name}
        todo += [(module, w) for w in words if w in module.defined]
        foreign = [w for w in words if "from bisect_convert." in module.imports.get(w, "") and w not in module.defined]
        todo += [(_home(w), w) for w in foreign]
    order = {m.file: n for n, m in enumerate(_modules())}
    keys = sorted(
        chosen, key=lambda k: (not k[1].lstrip("_").isupper(), order[k[0]], list(chosen[k].defined).index(k[1]))
    )
    return [(chosen[k], _told_apart(k, keys, chosen[k].defined[k[1]], chosen[k])) for k in keys]


def _told_apart(key: tuple[str, str], keys: Sequence[tuple[str, str]], text: str, module: _Module) -> str:
    """The text, in which private names that another module has too bear the name of theirs."""
    shared = {n for f, n in keys if f != module.file} & {n for f, n in keys if f == module.file}
    stem = Path(module.file).stem
    for name in sorted(shared):
        text = re.sub(rf"\b{name}\b", f"{name}_of_{stem}", text)
    return text


def _home(name: str) -> _Module:
    return next(m for m in _modules() if name in m.defined)


def _imports(text: str, modules: Iterable[_Module]) -> str:
    """The imports that the text needs, the standard library first."""
    lines = {"import argparse", "from functools import partial", "from itertools import groupby"}
    lines |= {"import coremltools as ct", "import tensorflow as tf", "from typing import Any"}
    lines |= {"from collections.abc import Callable", "from tensorflow.python.eager import context"}
    if "convert_variables_to_constants_v2" in text:
        lines.add("from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2")
    if "@cache" in text:
        lines.add("from functools import cache")
    if "re.sub(" in text:
        lines.add("import re")
    if "TF2Loader" in text:
        lines.add("from coremltools.converters.mil.frontend.tensorflow2.load import TF2Loader")
    for module in {m.file: m for m in modules}.values():
        for name, line in module.imports.items():
            if "bisect_convert" not in line and "__future__" not in line and re.search(rf"\b{name}\b", text):
                lines.add(line)
    own = re.compile(r"(import|from) (tensorflow|coremltools|numpy)\b")
    first, last = sorted(li for li in lines if not own.match(li)), sorted(li for li in lines if own.match(li))
    return "\n".join([*first, "", *last])
