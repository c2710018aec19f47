"""Sphinx builds the documentation: `pip install -e ".[docs]"`, then `make docs`."""

import contextlib
import io
import os
import re
from pathlib import Path

from posenet import __version__

project = "posenet"
author = copyright = "the posenet authors"
release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = f"posenet {release}"
myst_heading_anchors = 3
myst_enable_extensions = ["strikethrough"]
suppress_warnings = ["myst.strikethrough"]
autodoc_typehints = "description"
autodoc_member_order = "bysource"
exclude_patterns = ["build"]

# Where the reference of commands is written; it is made from the help.
COMMANDS_PAGE = Path(__file__).with_name("commands.md")
# Columns of the help.
WIDTH = "100"
GROUPS = ("scene", "weights")


def read_help(*words: str) -> str:
    """Return the help of a command without escape sequences."""
    from posenet.cli.main import main

    text = io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.suppress(SystemExit):
        main([*words, "-h"])
    return re.sub(r"\x1b\[[0-9;]*m", "", text.getvalue()).rstrip()


def list_commands(text: str) -> list[str]:
    """Return the commands that a help names."""
    match = re.search(r"\{([a-z-]+(?:,[a-z-]+)+)\}", text)
    if match is None:
        raise ValueError(f"the help must name the commands in braces. Received: {text[:300]}")
    return match[1].split(",")


def write_commands(*_) -> None:
    """Write the reference of all commands."""
    os.environ["COLUMNS"] = WIDTH
    parts = ["# Commands\n\nThe text of `posenet COMMAND -h`."]
    for name in list_commands(read_help()):
        names = [[name]]
        if name in GROUPS:
            names = [[name, inner] for inner in list_commands(read_help(name))]
        for words in names:
            title = " ".join(["posenet", *words])
            parts.append(f"## {title}\n\n```text\n{read_help(*words)}\n```")
    COMMANDS_PAGE.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def setup(app) -> None:
    """Write the reference before pages are read."""
    write_commands()
