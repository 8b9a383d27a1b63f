"""The documentation site: `make docs` builds it from docs/, the notebooks and the docstrings, without a network."""

import giftlib

project = "giftlib"
version = giftlib.__version__
language = "en"

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx_copybutton"]
root_doc = "docs/index"  # the sources are the whole checkout: links between pages and notebooks work there too
include_patterns = ["docs/**", "notebooks/**", "*.md"]

nb_execution_mode = "off"  # the outputs are committed, and nbval compares them
myst_heading_anchors = 3
default_role = "literal"  # docstrings are written with `single` backticks
suppress_warnings = ["misc.highlighting_failure"]  # the notebooks' %config is not Python
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "inherited-members": "dict, Exception, tuple, str"}

html_theme = "furo"
html_static_path = ["static"]
html_js_files = [("accessible.js", {"defer": "defer"})]
html_title = "giftlib"
html_show_copyright = html_show_sphinx = False
html_copy_source = html_show_sourcelink = False


def setup(app):
    """Show the table of settings, which stands in a docstring as it is printed, with its lines as they are."""

    def keep_table(app, what, name, obj, options, lines):
        if name.endswith(".Settings"):
            start = next(number for number, line in enumerate(lines) if line.lstrip().startswith("setting "))
            lines[start:] = ["::", "", *(f"    {line}" for line in lines[start:])]

    app.connect("autodoc-process-docstring", keep_table)
