"""Sphinx builds the documentation: `pip install -e ".[docs]"`, then `make docs`."""

import ast
import dataclasses
import inspect
import textwrap
from pathlib import Path
from typing import get_args, get_type_hints

from posenet import __version__

project = "posenet"
author = copyright = "the posenet authors"
release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = f"posenet {release}"
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3
smartquotes = False  # "--option" stays as it is
autodoc_typehints = "description"
autodoc_member_order = "bysource"
exclude_patterns = ["build"]

# The reference of commands, which is made from their dataclasses.
COMMANDS_PAGE = Path(__file__).with_name("commands.md")
HEAD = """# Commands

What `posenet COMMAND -h` prints. `--no-NAME` turns an option off that is on by default.
"""


def subcommands(union) -> dict[str, type]:
    """Return the dataclasses of a union of subcommands by their names."""
    return {
        each.__metadata__[0].name: each.__origin__
        for each in get_args(union)
        if hasattr(each, "__metadata__")
    }


def option_texts(kind: type) -> dict[str, str]:
    """Return the text below each field of a dataclass."""
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    texts = {}
    for field, text in zip(definition.body, definition.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr):
            texts[field.target.id] = " ".join(text.value.value.split())
    return texts


def describe_field(field: dataclasses.Field, text: str) -> str:
    """Return the entry of an option or argument."""
    if "Positional" in str(field.type):
        return f"`{field.name.upper()}`\n: {text}"
    name = f"--{field.name.replace('_', '-')}"
    default = field.default
    shown = default not in (None, False, dataclasses.MISSING) and "Default:" not in text
    return f"`{name}`\n: {text}" + (f" (default: `{default}`)" if shown else "")


def describe_command(name: str, kind: type) -> str:
    """Return the section of a command."""
    texts = option_texts(kind)
    parts = [f"## posenet {name}", inspect.cleandoc(kind.__doc__)]
    parts += [
        describe_field(field, texts[field.name])
        for field in dataclasses.fields(kind)
        if field.name in texts
    ]
    return "\n\n".join(parts)


def write_commands() -> None:
    """Write the reference of all commands."""
    from posenet.cli.commands import COMMANDS, AnyCommand

    parts = [HEAD]
    for name, kind in subcommands(AnyCommand).items():
        inner = {name: kind}
        if kind not in COMMANDS:  # a group
            union = get_type_hints(kind, include_extras=True)["command"]
            inner = {f"{name} {word}": each for word, each in subcommands(union).items()}
        parts += [describe_command(words, each) for words, each in inner.items()]
    COMMANDS_PAGE.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def setup(_) -> None:
    """Write the reference before pages are read."""
    write_commands()
