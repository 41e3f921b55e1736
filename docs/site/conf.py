"""How Sphinx builds the site. The source folder is the repository itself, so that a link between
pages is the same link on the site and in a browser of the repository."""

from __future__ import annotations

import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE / "extensions"))

# The lessons run on the bundled digits wherever the site is built, and nobody's own cache is read.
PRIVATE = ROOT / "build" / "docs"
os.environ.pop("PENMARK_DATA", None)
os.environ["KERAS_HOME"] = str(PRIVATE / "keras")
os.environ["PENMARK_CACHE"] = str(PRIVATE / "cache")

import navigation  # noqa: E402  # found through the path above

import penmark  # noqa: E402  # after the environment is set

project = "penmark"
author = "the penmark authors"
project_copyright = author
version = release = penmark.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "commands",
    "docstrings",
    "formulas",
    "navigation",
]
root_doc = navigation.START
include_patterns = navigation.pages(ROOT)
templates_path: list[str] = []

# Markdown and notebooks
source_suffix = {".md": "myst-nb", ".ipynb": "myst-nb"}
myst_enable_extensions = ["dollarmath", "html_image"]
myst_dmath_allow_space = False
myst_dmath_allow_digits = False
myst_heading_anchors = 3
highlight_language = "none"
nb_execution_mode = "cache"
nb_execution_cache_path = str(PRIVATE / "executed")
nb_execution_in_temp = True
nb_execution_timeout = 900
nb_execution_raise_on_error = True
nb_merge_streams = True
nb_ipywidgets_js: dict[str, dict[str, str]] = {}  # nothing from a CDN

# The reference
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_class_signature = "mixed"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 80
add_module_names = False
napoleon_numpy_docstring = False
napoleon_use_ivar = True

# The pages: nothing is loaded from elsewhere, and searching needs no server.
html_theme = "furo"
html_title = "penmark"
html_static_path = ["static"]
html_css_files = ["penmark.css"]
html_math_renderer = "mathml"
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False
html_theme_options = {"top_of_page_buttons": []}
smartquotes_action = "D"  # dashes only: "auto" in a docstring is a value
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "a11y-high-contrast-dark"
