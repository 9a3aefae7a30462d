"""How the house is built: sizes, light imports, complete `__all__`; which folder may import which, import-linter keeps."""

from __future__ import annotations

import ast
import configparser
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import QUICK

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


def rules() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(PACKAGE.parent / "setup.cfg")
    return parser


def test_every_folder_has_its_layer() -> None:
    layers = rules()["importlinter:contract:house"]["layers"].replace("|", " ").split()
    assert sorted(layers) == sorted({module.partition(".")[0] for module in MODULES} - {"", "__init__", "__main__"})


@pytest.mark.parametrize(
    ("module", "line", "broken"),
    [
        (None, "", None),
        ("search/bisection.py", "from bisect_convert.session import session", "a folder imports only from folders"),
        ("explain/why.py", "import tensorflow", "worker processes only"),
        ("cli/command.py", "from bisect_convert.worker import server", "through the door"),
    ],
)
def test_an_import_against_the_rules_is_seen_inside_of_a_function_too(
    module: str | None, line: str, broken: str | None, tmp_path: Path
) -> None:
    shutil.copytree(PACKAGE, tmp_path / "bisect_convert", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PACKAGE.parent / "setup.cfg", tmp_path)
    if module is not None:
        with (tmp_path / "bisect_convert" / module).open("a") as file:
            file.write(f"\n\ndef _late() -> None:\n    {line}\n")
    done = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"], cwd=tmp_path, capture_output=True,
        text=True, env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    assert (done.returncode == 0) == (broken is None), done.stdout
    assert broken is None or [broken in row for row in done.stdout.splitlines() if "BROKEN" in row].count(True) == 1


def test_what_is_quick_is_there() -> None:
    tests = PACKAGE.parent / "tests"
    for entry in QUICK:
        place, _, test = entry.partition("::")
        assert (tests / place).exists(), entry
        assert not test or f"def {test.partition('[')[0]}" in (tests / place).read_text(), entry
