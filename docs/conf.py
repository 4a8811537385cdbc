"""How Sphinx builds the documentation: `make docs`."""

from __future__ import annotations

import re
from importlib.metadata import version as installed_version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "omega-persistence"
author = "The omega-persistence developers"
copyright = f"2026, {author}"
version = release = installed_version(project)

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
]
source_suffix = {".md": "markdown"}
myst_heading_anchors = 3
default_role = "py:obj"  # `name` in a docstring leads to what it names
add_module_names = False
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
napoleon_use_ivar = True  # fields as one list
copybutton_exclude = ".linenos, .gp, .go"  # the prompt and the output are not copied
maximum_signature_line_length = 100

html_theme = "furo"
html_title = f"{project} {release}"

_RULES = re.compile(r"~typing\.Annotated\[([^,\]]+), msgspec\.Meta\([^)]*\)\]")


def _without_rules(
    _app: Sphinx, _what: str, _name: str, _object: object, _options: object, signature: str, _: str
) -> tuple[str, str] | None:
    """The signature of a record with the types of its fields; the rules stand in their texts."""
    if not signature:
        return None
    return _RULES.sub(r"\1", signature).replace("<factory>", "..."), _


def setup(app: Sphinx) -> None:
    """Change signatures on their way into a page."""
    app.connect("autodoc-process-signature", _without_rules)
