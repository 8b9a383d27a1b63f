"""A notebook as a section of the page."""

import base64
import re
from html import unescape
from io import StringIO
from urllib.parse import unquote

import nbformat
import pytest
from markupsafe import Markup
from matplotlib import pyplot
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from giftlib.report.section import section_of

SVG = """<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">
<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9">
 <metadata>
  made by version 3.11 on a Tuesday
 </metadata>
 <path id="p1" d="M 0 0"/>
</svg>
"""

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def section(*cells):
    return section_of("7_name", new_notebook(cells=list(cells)))


def shows(**data):
    return new_code_cell("show()", outputs=[new_output("display_data", data)])


def picture():
    return shows(**{"image/svg+xml": SVG, "text/plain": "<Figure size 900x240 with 1 Axes>"})


def test_alt():
    """The last paragraph before a figure describes it."""
    words = 'The *blue* path is `F`; 3 < 4 "always".'
    made = section(new_markdown_cell(f"# T\n\nFirst.\n\n{words}"), new_code_cell("x = 1"), picture())
    assert made.figures[0].alt == 'The blue path is F; 3 < 4 "always".'
    assert 'alt="The blue path is F; 3 &lt; 4 &#34;always&#34;."' in made.body


def test_alt_before_heading():
    """A heading alone does not replace the paragraph before it."""
    made = section(new_markdown_cell("# T\n\nSeen here: a line."), new_markdown_cell("## Below"), picture())
    assert made.figures[0].alt == "Seen here: a line."


def test_alt_without_words():
    """A figure without a paragraph before it is described by its section's name."""
    assert section(picture()).figures[0].alt == "7_name"


def test_no_repr():
    """What Python prints of a figure is left out."""
    assert "Figure size" not in section(picture()).body


def test_embedded():
    """The page embeds exactly the files of the figures."""
    made = section(picture(), shows(**{"image/png": PNG}))
    assert [figure.name for figure in made.figures] == ["7_name-1.svg", "7_name-2.png"]
    [svg] = re.findall(r'src="data:image/svg\+xml,([^"]+)"', made.body)
    [png] = re.findall(r'src="data:image/png;base64,([^"]+)"', made.body)
    assert unquote(unescape(svg)).split() == made.figures[0].content.decode().replace('"', "'").split()
    assert base64.b64decode(png) == made.figures[1].content


def test_svg():
    """An SVG says what it shows, and not which program made it and when."""
    [figure] = section(new_markdown_cell("A & B."), picture()).figures
    svg = figure.content.decode()
    assert svg.startswith("<svg")
    assert "<title>A &amp; B.</title>" in svg
    assert not re.search("metadata|Tuesday|DOCTYPE", svg)


@pytest.mark.parametrize(
    ("draw", "alt"),
    [(lambda: (pyplot.pie([1, 2], labels=["a", "b"]), pyplot.axis("off")), "Written beside: a; b."),
     (lambda: pyplot.subplot(projection="3d"), "7_name")],
    ids=["off", "3d"],
)  # fmt: skip
def test_other_axes(draw, alt):
    """A picture without axes, or with three, is shown like any other."""
    with pyplot.rc_context({"svg.hashsalt": "giftlib"}), StringIO() as svg:
        pyplot.figure()
        draw()
        pyplot.savefig(svg, format="svg")
        pyplot.close()
        made = section(shows(**{"image/svg+xml": svg.getvalue()}))
    assert made.missing == []
    assert [figure.alt for figure in made.figures] == [alt]


def test_headings():
    """The first heading is the title; each other one has an id, one level further down."""
    made = section(
        new_markdown_cell("# The `x` title\n\nText."), new_markdown_cell("## One\n\n## One\n\n### Two & more")
    )
    assert made.title == "The x title"
    places = ["7_name-one", "7_name-one-2", "7_name-two-more"]
    assert made.headings == [*zip(places, ("One", "One", "Two & more"), strict=True)]
    assert re.findall(r"<(h\d)(?: id=\"([^\"]+)\")?>", made.body) == [
        ("h2", ""), *zip(("h3", "h3", "h4"), places, strict=True),
    ]  # fmt: skip
    for place in ("7_name", *places):
        assert f'href="#{place}" aria-label="Link to: ' in made.body


def test_no_heading():
    """A section without a heading is titled by its name."""
    assert section(new_code_cell("1")).title == "7_name"


def test_repeatable():
    """The same notebook gives the same section."""
    notebook = new_notebook(cells=[new_markdown_cell("# T"), picture(), new_code_cell("x = 1")])
    again = nbformat.reads(nbformat.writes(notebook), as_version=4)
    for cell in again.cells:
        cell.id = f"other-{cell.id}"
    assert section_of("a", notebook) == section_of("a", again)


@pytest.mark.parametrize(
    "output",
    [
        new_output("stream", text="<b>& text</b>\n"),
        new_output("execute_result", {"text/plain": "<b>& text</b>\n"}, execution_count=1),
    ],
    ids=lambda output: output.output_type,
)
def test_text(output):
    """Text is shown as text, not as HTML."""
    body = section(new_code_cell("x", outputs=[output])).body
    assert '<pre class="output">&lt;b&gt;&amp; text&lt;/b&gt;\n</pre>' in body


def test_table():
    """A table scrolls in its own box and brings no style."""
    table = "<div><style scoped>.dataframe {}</style><table><tr><td>1</td></tr></table></div>"
    body = section(shows(**{"text/html": table, "text/plain": "1"})).body
    assert re.search('<div class="scroll" [^>]*tabindex="0"><div><table>', body)
    assert "<style" not in body


@pytest.mark.parametrize(
    "output",
    [
        new_output("display_data", {"text/plain": "<Figure size 900x240 with 1 Axes>"}),
        new_output("display_data", {"text/plain": "<IPython.core.display.Image object>", "image/webp": "UklGRg=="}),
        new_output("display_data", {}),
        new_output("display_data", {"image/png": "not base64!"}),
        new_output("display_data", {"image/png": PNG[:70]}),
        new_output("display_data", {"image/jpeg": PNG[:40]}),
        new_output("display_data", {"image/svg+xml": "<svg><path></svg>"}),
        new_output("display_data", {"image/svg+xml": "<p/>"}),
        nbformat.NotebookNode(output_type="hologram"),
    ],
    ids=lambda output: "-".join(output.get("data", ["hologram"])) or "nothing",
)
def test_not_shown(output):
    """An output that the page cannot show is named in its place, with notebook and cell for the terminal."""
    injected = new_code_cell("seed = 1", metadata={"tags": ["injected-parameters", "giftlib"]})
    notebook = new_notebook(cells=[new_markdown_cell("# T"), injected, new_code_cell("x")])
    notebook.cells[-1].outputs = [output]
    made = section_of("7_name", notebook)
    [problem] = made.missing
    assert re.match(r"7_name\.ipynb, cell 2: .+$", problem)
    assert problem.removeprefix("7_name.ipynb, cell 2: ") in Markup(made.body).striptags()
    assert made.figures == []


def test_markdown_output():
    """Prose that a cell displays is shown as prose."""
    markdown = {"text/plain": "<IPython.core.display.Markdown object>", "text/markdown": "**7** of 9"}
    assert "<strong>7</strong> of 9" in section(shows(**markdown)).body


@pytest.mark.parametrize(
    "prose",
    ["![A logo](pictures/a%20logo.png)", '<img width="9" src="pictures/a logo.png" alt="A logo">',
     "![A logo](attachment:logo.png)", "![A logo](pictures/a.svg)"],
)  # fmt: skip
def test_local_picture(tmp_path, prose):
    """A picture in prose is in the page itself."""
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a logo.png").write_bytes(base64.b64decode(PNG))
    (tmp_path / "pictures" / "a.svg").write_text(SVG)
    cell = new_markdown_cell(prose, attachments={"logo.png": {"image/png": PNG}})
    made = section_of("7_name", new_notebook(cells=[cell]), folder=tmp_path)
    [data] = re.findall(r'src="data:image/[a-z+]+;base64,([^"]+)"', made.body)
    assert base64.b64decode(data) in (base64.b64decode(PNG), SVG.encode())
    assert 'alt="A logo"' in made.body and made.missing == []


@pytest.mark.parametrize(
    ("name", "reason"),
    [("none.png", "there is no such file"), ("https://example.org/a.png", "it is no local file"),
     ("//example.org/a.png", "it is no local file"), ("a.txt", "it is no SVG, PNG, JPEG, GIF or WebP"),
     ("attachment:b.png", "it is no local file"), (".", "there is no such file")],
)  # fmt: skip
@pytest.mark.parametrize("where", ["prose", "output"])
def test_lost_picture(tmp_path, name, reason, where):
    """A picture that cannot be in the page is named in its place, and the page loads nothing."""
    (tmp_path / "a.txt").write_text("text")
    html = f'<img src="{name}">'
    cell = new_markdown_cell(f"![A picture]({name})") if where == "prose" else shows(**{"text/html": html})
    made = section_of("7_name", new_notebook(cells=[cell]), folder=tmp_path)
    assert made.missing == [f"7_name.ipynb, cell 1: the page cannot show the picture {name}: {reason}"]
    assert f"[the page cannot show the picture {name}: {reason}]" in made.body and "<img" not in made.body


def test_script():
    """An output with a script is shown, and it is said that a part of it may be lost."""
    made = section(shows(**{"text/html": "<b>here</b><script>draw()</script>"}))
    assert "<b>here</b>" in made.body
    assert made.missing == ["7_name.ipynb, cell 1: a part of this output may not be seen: script"]


def test_allowed_error():
    """The error of a cell that may fail is shown."""
    output = new_output("error", ename="ValueError", evalue="a < b", traceback=[])
    assert "ValueError: a &lt; b" in section(new_code_cell("x", outputs=[output])).body


def test_control_characters():
    """Colours, links and other control characters of a terminal are left out of the page."""
    printed = "\x1b[1;32mgreen\x1b[0m \x1b]8;;http://x\x07link\x1b]8;;\x07 bell\x07 null\x00 tab\tend\n"
    red = new_output("execute_result", {"text/plain": "\x1b[31mred\x1b[0m"})
    shown = new_code_cell("1", outputs=[new_output("stream", name="stdout", text=printed), red])
    body = section(shown).body
    assert "green link bell null tab\tend" in body and ">red<" in body
    assert not re.search("[\x00-\x08\x0b-\x1f]", body)


def test_name_with_quotes():
    """A notebook's name is no markup in the ids of its headings."""
    made = section_of('1_say "hi" & <b>', new_notebook(cells=[new_markdown_cell("# T\n\n## Below")]))
    assert 'id="1_say &quot;hi&quot; &amp; &lt;b&gt;-below"' in made.body
