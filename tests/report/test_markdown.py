from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from finetune.report.markdown import code_block, plain, table
from finetune.text import printable
from tests.report.test_check_page import HOSTILE

NAMES = st.text(st.sampled_from("ab _*[]()<>|\\`#&!:.-~'\"\n$@/wwhtp;1"), max_size=20) | HOSTILE


def parsed(lines: list[str]) -> list:
    return MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse("\n".join(lines))


def cells(lines: list[str]) -> list[str]:
    """The texts of a table's cells; each cell is text and nothing else."""
    found = []
    for token in parsed(lines):
        if token.type == "inline":
            assert {child.type for child in token.children} <= {"text", "text_special"}
            found.append("".join(child.content for child in token.children))
    return found


@given(NAMES.filter(lambda name: printable(name).strip()), NAMES.filter(str.strip))
@example("a\\", "|b")
@example("</td><script>", "![x](http://a.b)")
@example("__init__", "[a]: http://a.b")
def test_a_name_in_a_table_is_text_and_keeps_to_its_cell(one: str, other: str) -> None:
    rows = [(plain(one), plain(other)), ("x", "y")]
    wanted = ["a", "b", printable(one).strip(), printable(other).strip(), "x", "y"]
    assert cells(table(("a", "b"), rows)) == wanted


def test_usual_names_stay_readable_and_addresses_do_not_become_links() -> None:
    assert plain("brown_rust, leaf-2 (v1.5)") == "brown_rust, leaf-2 (v1.5)"
    assert plain("_private_") == "&#95;private&#95;"
    assert plain("WWW.a.b http://c") == "WWW&#46;a.b http&#58;//c"
    assert plain("a\tb") == "a&#92;u0009b"
    assert plain(" ") == "(no name)"


@pytest.mark.parametrize("text", ["a: 1\n", "```\n# no heading\n````\n", "~~~\n<b>\n"])
def test_a_block_holds_any_text(text: str) -> None:
    (token,) = parsed(code_block(text, "yaml"))
    assert token.type == "fence"
    assert token.content == text
