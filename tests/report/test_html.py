import base64
import re

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from giftlib.report.html import chapter_of

SVG = """<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">
<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9">
 <metadata>
  made by version 3.11 on a Tuesday
 </metadata>
 <path id="p1" d="M 0 0"/>
</svg>
"""


def chapter(*cells):
    return chapter_of("7_name", new_notebook(cells=list(cells)))


def shows(**data):
    return new_code_cell("show()", outputs=[new_output("display_data", data)])


def picture():
    return shows(**{"image/svg+xml": SVG, "text/plain": "<Figure size 900x240 with 1 Axes>"})


def test_a_figure_is_told_by_the_last_paragraph_before_it():
    words = 'The *blue* path is `F`; 3 < 4 "always".'
    made = chapter(new_markdown_cell(f"# T\n\nFirst.\n\n{words}"), new_code_cell("x = 1"), picture())
    assert made.figures[0].alt == 'The blue path is F; 3 < 4 "always".'
    assert 'alt="The blue path is F; 3 &lt; 4 &#34;always&#34;."' in made.body


def test_a_heading_alone_does_not_take_the_place_of_the_words_before_it():
    made = chapter(new_markdown_cell("# T\n\nSeen here: a line."), new_markdown_cell("## Below"), picture())
    assert made.figures[0].alt == "Seen here: a line."


def test_a_figure_without_words_is_told_by_its_chapter():
    assert chapter(picture()).figures[0].alt == "7_name"


def test_what_python_prints_of_a_figure_is_nowhere():
    assert "Figure size" not in chapter(picture()).body


def test_the_files_of_figures_are_what_the_page_embeds():
    png = base64.b64encode(b"\x89PNG").decode()
    made = chapter(picture(), shows(**{"image/png": png}))
    assert [figure.name for figure in made.figures] == ["7_name-1.svg", "7_name-2.png"]
    embedded = re.findall(r'src="data:(image/[a-z+]+);base64,([^"]+)"', made.body)
    assert [mime for mime, _ in embedded] == ["image/svg+xml", "image/png"]
    assert [base64.b64decode(data) for _, data in embedded] == [figure.content for figure in made.figures]


def test_an_svg_says_what_it_shows_and_not_who_made_it():
    [figure] = chapter(new_markdown_cell("A & B."), picture()).figures
    svg = figure.content.decode()
    assert svg.startswith("<svg")
    assert "<title>A &amp; B.</title>" in svg
    assert not re.search("metadata|Tuesday|DOCTYPE", svg)


def test_the_first_heading_is_the_title_and_the_others_are_places_below_it():
    made = chapter(
        new_markdown_cell("# The `x` title\n\nText."), new_markdown_cell("## One\n\n## One\n\n### Two & more")
    )
    assert made.title == "The x title"
    assert made.headings == [("7_name-1", "One"), ("7_name-2", "One"), ("7_name-3", "Two & more")]
    assert re.findall(r"<(h\d)(?: id=\"([^\"]+)\")?>", made.body) == [
        ("h2", ""), ("h3", "7_name-1"), ("h3", "7_name-2"), ("h4", "7_name-3"),
    ]  # fmt: skip


def test_a_chapter_without_a_heading_is_called_by_its_name():
    assert chapter(new_code_cell("1")).title == "7_name"


def test_the_same_notebook_gives_the_same_chapter():
    notebook = new_notebook(cells=[new_markdown_cell("# T"), picture(), new_code_cell("x = 1")])
    again = nbformat.reads(nbformat.writes(notebook), as_version=4)
    for cell in again.cells:
        cell.id = f"other-{cell.id}"
    assert chapter_of("a", notebook) == chapter_of("a", again)


@pytest.mark.parametrize(
    "output",
    [
        new_output("stream", text="<b>& text</b>\n"),
        new_output("execute_result", {"text/plain": "<b>& text</b>\n"}, execution_count=1),
    ],
    ids=lambda output: output.output_type,
)
def test_text_is_shown_as_text(output):
    body = chapter(new_code_cell("x", outputs=[output])).body
    assert '<pre class="output">&lt;b&gt;&amp; text&lt;/b&gt;\n</pre>' in body


def test_a_table_scrolls_in_a_box_of_its_own_and_brings_no_style():
    table = "<div><style scoped>.dataframe {}</style><table><tr><td>1</td></tr></table></div>"
    body = chapter(shows(**{"text/html": table, "text/plain": "1"})).body
    assert re.search('<div class="scroll" [^>]*tabindex="0"><div><table>', body)
    assert "<style" not in body
