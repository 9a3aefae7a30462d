"""How the house is built: layers, sizes, light imports, complete `__all__`."""

from __future__ import annotations

import ast
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "bisect_convert"
MODULES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}
LONGEST_MODULE, LONGEST_FUNCTION = 320, 40
HEAVY = {"tensorflow", "coremltools", "keras"}

#: From the lowest to the highest: a module imports from its own line and those above it here. A package stands for all
#: its modules.
LAYERS = (
    ("errors", "limits"),
    ("verdict", "report", "reasons", "cache"),
    ("search", "graph", "context", "bodies", "upstream", "steadiness", "input_mends", "guesses", "mends"),
    ("conversions", "options", "paths", "sources", "recipes"),
    (
        "preload",
        "converter",
        "tracebacks",
        "sizes",
        "shapes",
        "callees",
        "lists",
        "facts",
        "stateful",
        "unread",
        "loading",
        "threads",
        "cutting",
        "reference",
        "optimizing",
        "convert",
        "running",
    ),
    ("model", "slicer", "ranks", "loadfail", "workers", "server", "lent"),
    ("line", "prober"),
    ("locate", "descend", "calls", "control", "hunt", "slow"),
    ("flow", "needs", "explain", "remedies", "render", "passes", "compose"),
    ("finder", "run", "stepping", "desk", "section", "journal", "shrinking", "session"),
    ("arguments", "outdir", "progress", "expectations", "shell", "cli", "__main__", "__init__"),
    ("pytest_plugin", "pytest_bisect", "pytest_failures", "pytest_models"),
)
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
#: What runs in worker processes only, alone in importing tensorflow and coremltools.
IN_WORKERS = {*LAYERS[4], "recipes"} - {"preload"}


def tree(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text())


def home(module: str) -> str:
    """The line of LAYERS that speaks of the module."""
    return module.split(".")[0]


def imported(module: str, *, ours: bool) -> set[str]:
    """What the module imports when it is imported itself: modules of the package, or else top names of others."""
    found = set()
    for node in tree(module).body:
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            top, _, rest = name.partition(".")
            if (top == PACKAGE.name) != ours:
                continue
            found.add(_module(rest) if ours else top)
    return found


def _module(name: str) -> str:
    while name and name not in MODULES:
        name = name.rpartition(".")[0]
    return name or "__init__"


each_module = pytest.mark.parametrize("module", MODULES)


@each_module
def test_a_module_imports_only_from_its_own_layer_and_those_below(module: str) -> None:
    assert home(module) in RANK, f"say in LAYERS where {module} belongs"
    above = {m for m in imported(module, ours=True) if m != "__init__" and RANK[home(m)] > RANK[home(module)]}
    assert not above


def test_imports_have_no_cycle() -> None:
    graph = {m: imported(m, ours=True) - {"__init__", m} for m in MODULES}
    try:
        list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(f"cycle: {error.args[1]}")


@each_module
def test_only_what_runs_in_workers_imports_tensorflow(module: str) -> None:
    if home(module) not in IN_WORKERS:
        assert not imported(module, ours=False) & HEAVY
        heavy = {m for m in imported(module, ours=True) if home(m) in IN_WORKERS and imported(m, ours=False) & HEAVY}
        assert not heavy


@pytest.mark.parametrize(
    "what", ["bisect_convert", "bisect_convert.cli", "bisect_convert.finder", "bisect_convert.session"]
)
def test_importing_it_imports_neither_tensorflow_nor_coremltools(what: str) -> None:
    code = f"import sys, {what}; print(sorted({HEAVY!r} & set(sys.modules)))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


@each_module
def test_no_module_is_too_long(module: str) -> None:
    assert len(MODULES[module].read_text().splitlines()) <= LONGEST_MODULE


def functions(body: ast.AST) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [node for node in ast.walk(body) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]


@each_module
def test_no_function_is_too_long(module: str) -> None:
    def lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
        body = function.body[1:] if ast.get_docstring(function) and len(function.body) > 1 else function.body
        return (body[-1].end_lineno or 0) - body[0].lineno + 1

    assert not {f.name: n for f in functions(tree(module)) if (n := lines(f)) > LONGEST_FUNCTION}


@each_module
def test_all_names_what_is_public_and_nothing_else(module: str) -> None:
    body = tree(module).body
    listed = [
        ast.literal_eval(node.value)
        for node in body
        if isinstance(node, ast.Assign) and [getattr(t, "id", "") for t in node.targets] == ["__all__"]
    ]
    defined = {n.name for n in body if isinstance(n, (ast.FunctionDef, ast.ClassDef)) and not n.name.startswith("_")}
    if module == "__main__" or module.startswith("recipes."):  # a program; what registers itself by being imported
        return
    assert listed, "no __all__"
    assert len(set(listed[0])) == len(listed[0])
    if not module.startswith("pytest_"):  # hooks and fixtures are public by their names, for pytest
        assert defined <= set(listed[0])


@each_module
def test_what_is_public_says_what_it_does(module: str) -> None:
    assert ast.get_docstring(tree(module))
    public = [n for n in tree(module).body if isinstance(n, (ast.FunctionDef, ast.ClassDef)) and n.name[0] != "_"]
    assert not [n.name for n in public if not ast.get_docstring(n)]
