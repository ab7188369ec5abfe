from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from finetune.console import Silent
from finetune.data.copies.leaks import Leak
from finetune.data.fixes import Fix
from finetune.data.manifest import Item
from finetune.data.metadata import MetadataLeak
from finetune.inspection.checking import check_data
from finetune.inspection.findings import Copies, Lookalike, Problem
from finetune.recipe.loading import load_recipe
from finetune.report.check_page import check_page
from tests.report.pages import Page, make_findings, make_items

LIMIT = 10**6
UNSAFE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
ORDER = [
    "leaks", "conflicts", "copies", "lookalikes", "odd", "unreadable", "metadata", "warnings",
    "classes", "pictures",
]  # fmt: skip


def page_of(findings) -> Page:
    return Page(check_page(findings, LIMIT, Silent()))


def everything(name="photos", label="cat", path="cat/1.jpg", words="seen"):
    """Findings of every kind, with names from the data wherever one can stand."""
    items = [
        Item(path, label, "train", digest="1"),
        Item(f"2{path}", f"2{label}", "val", digest="1"),
        Item(f"3{path}", label, "train", digest="3"),
        Item(f"4{path}", label, "train", digest="3"),
        Item(f"5{path}", label, "test", digest="5"),
        Item(f"6{path}", label, status="bad", reason=words),
    ]
    return make_findings(
        items,
        name=name,
        copies=[Copies((0, 1), "exact"), Copies((2, 3), "near")],
        leaks=[Leak(0, 1, "exact")],
        lookalikes=[Lookalike(0, 4, 0.95)],
        problems=[Problem(path, "blank", words), Problem(path, words, words)],
        metadata=[MetadataLeak("JPEG quality", 0.91, 0.5, 5)],
        warnings=[words],
        advice=[words],
        fixes=[Fix(path, words)],
    )


def test_what_was_found_stands_in_its_order():
    page = page_of(everything())
    assert page.anchors == ORDER
    assert page.headings[:3] == ["Check of photos", "Look at this first", "Advice"]
    assert all(heading.endswith(")") for heading in page.headings[3:])


def test_sections_are_absent_where_nothing_was_found():
    page = page_of(make_findings(make_items(6)))
    assert page.anchors == ["classes", "pictures"]
    assert page.headings[1] == "Nothing found"
    assert "fixes.csv" not in page.text


def test_without_any_image_there_is_a_page_still():
    bad = [Item("a/1.jpg", "a", status="bad", reason="empty file")]
    page = page_of(make_findings(bad, warnings=["there is no image that can be read"]))
    assert page.anchors == ["unreadable", "warnings"]


@pytest.mark.parametrize("found", [everything(), make_findings(make_items(6))])
def test_the_page_hangs_together(all_shown, found):
    all_shown()
    page = page_of(found)
    identities = [a["id"] for _, a in page.elements if "id" in a]
    assert len(set(identities)) == len(identities)
    assert {href.removeprefix("#") for href in page.values("a", "href")} <= set(identities)
    labelled = [a["aria-labelledby"] for _, a in page.elements if "aria-labelledby" in a]
    assert set(labelled) <= set(identities)
    assert all(page.values("img", "alt"))
    assert len(page.values("img", "alt")) == len(page.values("img", "src"))


def test_nothing_is_loaded_and_nothing_runs(all_shown):
    all_shown()
    html = check_page(everything(), LIMIT, Silent())
    page = Page(html)
    addresses = [a[k] for _, a in page.elements for k in ("src", "href", "data") if k in a]
    assert {urlsplit(address).scheme for address in addresses} == {"data", ""}
    assert not {"script", "link", "iframe", "object", "base"} & {tag for tag, _ in page.elements}
    assert re.findall(r"url\(([^)]*)\)|@import", html) == ["#stripes"]
    assert page.values("meta", "content")[0].startswith("default-src 'none'; img-src data:;")


def outline(page: Page) -> Counter[tuple[str, ...]]:
    """The elements without what a name is broken into lines by, or is replaced with if empty."""
    return Counter(
        (tag, *sorted(attributes))
        for tag, attributes in page.elements
        if tag not in ("wbr", "bdi", "i")
    )


HOSTILE = st.text(
    st.characters(codec=None) | st.sampled_from("<>&\"'`/={}%#\n\r\t\u202e\u2028\udcff\ud800\x1b"),
    max_size=20,
)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(name=HOSTILE, label=HOSTILE, path=HOSTILE.filter(bool), words=HOSTILE.filter(bool))
@example("<script>", "</title><img src=x onerror=alert(1)>", "\"'><svg/onload=alert(1)>", "{{7*7}}")
@example("", " ", "\udcff\u202egpj.exe", "</style><a href=javascript:alert(1)>")
@example("x" * 250, "x" * 250, "/".join(["x" * 250] * 16), "x" * 250)
def test_names_are_never_more_than_text(all_shown, name, label, path, words):
    all_shown()
    words = words.replace("\n", " ")  # what a warning is broken into lines by
    html = check_page(everything(name, label, path, words), LIMIT, Silent())
    assert not UNSAFE.search(html)
    assert html.encode()
    assert outline(Page(html)) == outline(page_of(everything()))


def test_names_are_shown_as_they_are():
    page = page_of(everything(label="<b> & \"c\" 'd'", path="a\nb\u202e.jpg", name="{{ 1 }}"))
    assert page.headings[0] == "Check of {{ 1 }}"
    assert "<b> & \"c\" 'd' in train" in page.text
    assert "a\\u000ab\\u202e.jpg" in page.text


def test_a_class_without_a_name_is_told_so():
    page = page_of(everything(label="", name=""))
    assert "(no name) in train" in page.text
    assert page.headings[0] == "Check of a folder"


def test_lines_of_a_warning_belong_together():
    findings = make_findings(make_items(4), warnings=["two leak:\n  a is b\n  <c> is d"])
    page = page_of(findings)
    assert "two leak: a is b <c> is d" in page.text
    assert "two leak: Show" in page.text


def test_a_file_that_is_gone_is_a_tile_with_its_name(tmp_path):
    items = make_items(2)
    (tmp_path / "c0").mkdir()
    Image.new("RGB", (40, 30), "red").save(tmp_path / items[0].path)
    page = page_of(make_findings(items, tmp_path))
    assert page.values("img", "alt") == ["0.png"]
    assert page.values("img", "title") == ["c0/0.png"]
    assert "1.png can't be shown" in page.text


def many(count=3_000, classes=300):
    """More of everything than is shown."""
    items = [replace(item, split=("train", "val")[n % 2]) for n, item in
             enumerate(make_items(count, classes))]  # fmt: skip
    clusters = [tuple(range(n, n + 10)) for n in range(0, 2_000, 10)]
    same = [replace(i, label="same", split="train") if n >= 1_000 else i
            for n, i in enumerate(items[:2_000])]  # fmt: skip
    items = [*same, *items[2_000:], *(replace(i, path=f"bad-{i.path}", status="bad", reason="r")
                                      for i in items[:500])]  # fmt: skip
    kinds = ("tiny", "shape", "blank", "dark", "bright", "blurred", "animated", "mode")
    return make_findings(
        items,
        copies=[Copies(cluster, "near") for cluster in clusters],
        leaks=[Leak(n, n + 1, "near") for n in range(0, 1_000, 2)],
        lookalikes=[Lookalike(n, n + 100, 0.95) for n in range(500)],
        problems=[Problem(items[n].path, kind, "seen") for kind in kinds for n in range(500)],
        warnings=["a warning"] * 500,
    )


def test_the_page_stays_small_however_much_was_found(all_shown):
    all_shown(4_700)  # as many as the largest thumbnails have
    html = check_page(many(), LIMIT, Silent())
    assert len(html.encode()) < 6 * 2**20
    page = Page(html)
    for told in (
        "Shown are 40 of 500; check.json has all", "Shown are 30 of 100; check.json has all",
        "Shown are 100 of 500; check.json has all", "Shown are 60 of 301; check.json has all",
        "and 4 more", "and 488 more", "3,500",
    ):  # fmt: skip
        assert told in page.text


def test_the_same_findings_give_the_same_bytes(photos):
    root = photos({"red": 12, "blue": 12})
    (root / "red" / "broken.png").write_bytes(b"no image")
    (root / "blue" / "copy.png").write_bytes((root / "red" / "000.png").read_bytes())
    pages = set()
    for _ in range(2):
        findings = check_data(root, load_recipe("lp_ft").data, 1, Silent())
        pages.add(check_page(findings, LIMIT, Silent()))
    assert len(pages) == 1
    page = Page(pages.pop())
    assert {"conflicts", "unreadable"} <= set(page.anchors)
    assert len(set(page.values("img", "src"))) >= 15


def test_what_has_a_section_is_worried_about_once(photos):
    root = photos({"red": 12, "blue": 12})
    (root / "blue" / "copy.png").write_bytes((root / "red" / "000.png").read_bytes())
    for file in (root / "blue").glob("*.png"):
        Image.open(file).save(file.with_suffix(".jpg"))
        file.unlink()
    (root / "blue" / "copy.jpg").write_bytes((root / "red" / "000.png").read_bytes())
    findings = check_data(root, load_recipe("lp_ft").data, 1, Silent())
    assert findings.metadata
    assert findings.conflicts
    text = page_of(findings).text
    first = text[: text.index("Advice")]
    assert first.count("several classes") == 1
    assert first.count("The file format of a file alone tells its class") == 1
    assert "the file format of a file alone" not in first


def test_headings_skip_no_level(all_shown):
    all_shown()
    levels = [int(t[1]) for t, _ in page_of(everything()).elements if t in ("h1", "h2", "h3")]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
