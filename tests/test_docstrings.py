"""Every public function documents its arguments, result and errors, in plain words."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted([*(ROOT / "posenet").rglob("*.py"), *(ROOT / "datasets").rglob("*.py")])
# Methods that Keras defines and calls.
KERAS_METHODS = {"call", "build", "get_config", "compute_loss", "compute_output_shape"}
# Words of earlier versions that are not terms of the field.
OLD_WORDS = re.compile(
    r"\b(picture|trunk|doubt|told|tells|anew|helds?_out)s?\b|\bas (it is|they are)\b", re.I
)
# Names that old files and runs contain, which are still read.
OLD_NAMES = re.compile(
    r"pictures\.json|\"(held_out|trunk|doubt|picture|doubt_deg)s?\"|PerPicture|trained_on"
)


def public_functions(body: list[ast.stmt]) -> list[ast.FunctionDef]:
    found = []
    for node in body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            found += public_functions(node.body)
        if isinstance(node, ast.FunctionDef) and not node.name.startswith(("_", "on_")):
            found.append(node)
    return [node for node in found if node.name not in KERAS_METHODS]


def missing_sections(function: ast.FunctionDef) -> list[str]:
    doc = ast.get_docstring(function) or ""
    decorators = {getattr(d, "id", getattr(d, "attr", "")) for d in function.decorator_list}
    if decorators & {"property", "cached_property", "setter", "overload"}:
        return [] if doc else ["docstring"]
    arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    names = [each.arg for each in arguments if each.arg not in ("self", "cls")]
    missing = [name for name in names if not re.search(rf"^\s*\*?{name}( \(.*\))?:", doc, re.M)]
    returns_none = isinstance(function.returns, ast.Constant) and function.returns.value is None
    if not returns_none and not re.search(r"\b(Returns|Yields):|^Return ", doc):
        missing.append("Returns")
    if any(isinstance(node, ast.Raise) for node in ast.walk(function)) and "Raises:" not in doc:
        missing.append("Raises")
    return missing


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_public_functions_document_arguments_results_and_errors(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree)
    found = {f.name: missing_sections(f) for f in public_functions(tree.body)}
    assert {name: missing for name, missing in found.items() if missing} == {}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_source_uses_the_terms_of_the_field(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    found = [line for line in lines if OLD_WORDS.search(OLD_NAMES.sub("", line))]
    assert found == []
