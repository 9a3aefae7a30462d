"""How the house is built: sizes, light imports, complete `__all__`; which folder may import which, import-linter keeps."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "bisect_convert"
MODULES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}
LONGEST_MODULE, LONGEST_FUNCTION = 320, 40
HEAVY = {"tensorflow", "coremltools", "keras"}


def tree(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text())


each_module = pytest.mark.parametrize("module", MODULES)


@pytest.mark.parametrize(
    "what",
    ["bisect_convert", "bisect_convert.cli.command", "bisect_convert.diagnose.find", "bisect_convert.session.session"],
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
        if (isinstance(node, ast.Assign) and [getattr(t, "id", "") for t in node.targets] == ["__all__"])
        or (isinstance(node, ast.AnnAssign) and node.value and getattr(node.target, "id", "") == "__all__")
    ]
    defined = {n.name for n in body if isinstance(n, (ast.FunctionDef, ast.ClassDef)) and not n.name.startswith("_")}
    if module == "__main__" or module.startswith("recipes."):  # a program; what registers itself by being imported
        return
    assert listed, "no __all__"
    assert len(set(listed[0])) == len(listed[0])
    if not module.startswith("pytest_plugin"):  # hooks and fixtures are public by their names, for pytest
        assert defined <= set(listed[0])


@each_module
def test_what_is_public_says_what_it_does(module: str) -> None:
    assert ast.get_docstring(tree(module))
    public = [n for n in tree(module).body if isinstance(n, (ast.FunctionDef, ast.ClassDef)) and n.name[0] != "_"]
    assert not [n.name for n in public if not ast.get_docstring(n)]
