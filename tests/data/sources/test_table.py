from __future__ import annotations

import os
from collections import Counter

import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from finetune.data.reading import read_data
from finetune.data.sources.table import columns_of, list_table
from finetune.errors import DataError
from finetune.recipe.schema import DataOptions


@pytest.fixture
def table(tmp_path):
    def write(text: str, name: str = "list.csv"):
        (tmp_path / name).write_text(text, encoding="utf-8")
        return tmp_path / name

    return write


def test_rows_become_items_and_other_columns_are_told(table):
    listing = list_table(
        table('\ufeffpath , label,camera\n"a, b.png",NA,1\n\n/abs/c.png,01,2\n"x\ny.png",=z,3\n')
    )
    assert [(item.path, item.label) for item in listing.items] == [
        ("a, b.png", "NA"), ("/abs/c.png", "01"), ("x\ny.png", "=z"),
    ]  # fmt: skip
    assert listing.notes == ("Columns that are not used: camera.",)


def test_splits_and_groups_are_taken(table):
    listing = list_table(table("path,label,split,group\n1,a,TRAIN,g\n2,b,dev,\n3,a,test,h\n"))
    assert [(i.split, i.group) for i in listing.items] == [
        ("train", "g"),
        ("val", ""),
        ("test", "h"),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no column path; the file is empty"),
        ("file,label\n", "there is no column path"),
        ("paths,labels\n", "no column path; the nearest is paths\nthere is no column label; the"),
        ("path;label\n1;a\n", "commas, not by semicolons"),
        ("path,label,Group\n", "column Group: write it group"),
        ("path,label,label\n", "column label is there twice"),
        ("path,label\n", "it lists no image"),
        ("path,label\n1,a,b\n2\n", "not 2 cells, as in the first line: line 2, 3"),
        ('path,label\n1,"a\n', "is no CSV"),
        ('"path"x,label\n1,a\n', "is no CSV"),
        ("path,label\n1, \n,a\n", "path is empty in 1 row: 3\nlabel is empty in 1 row: 2"),
        ("path,label,split\n1,a,train\n2,a,tset\n", "split 'tset' in 1 row"),
        ("path,label,split\n1,a,train\n2,a,\n", "split is empty in 1 row and filled in others: 3"),
        ("path,label,split\n1,a,test\n", "nothing to learn from"),
        ("path,label,split\n1,a,train\n2,a,val\n3,a,dev\n", "mean the same part: dev, val"),
        ("path,label\n1.png,a\n./1.png,b\n", "listed twice, with the label a in line 2 and b in"),
        ("path,label\n\x00,a\n", "no UTF-8 text"),
    ],
)
def test_faulty_tables_are_refused(table, text, message):
    with pytest.raises(DataError) as caught:
        list_table(table(text))
    assert message in str(caught.value)


def test_a_row_that_is_there_twice_counts_once(table):
    listing = list_table(table("path,label\n1.png,a\nx/../1.png,a\n2.png,b\n"))
    assert [item.status for item in listing.items] == ["ok", "dropped", "ok"]
    assert listing.warnings == ("1 row left out, as the file is listed before: x/../1.png",)


def test_paths_of_windows_find_their_files(table, tmp_path, write_image):
    write_image(tmp_path / "cats" / "1.png")
    listing = list_table(table("path,label\ncats\\1.png,a\nno\\2.png,b\n"))
    assert [item.path for item in listing.items] == ["cats/1.png", "no\\2.png"]


def test_names_that_are_no_utf8_find_their_files(tmp_path, write_image):
    name = os.fsdecode(b"k\xfc.png")
    write_image(tmp_path / name)
    (tmp_path / "list.csv").write_bytes(b"path,label\nk\xfc.png,a\n")
    (item,) = list_table(tmp_path / "list.csv").items
    assert (tmp_path / item.path).is_file()


def test_parquet_holds_the_same(tmp_path):
    frame = pd.DataFrame({"label": [1, 2], "path": ["a.png", "b.png"], "split": ["train", "test"]})
    frame.to_parquet(tmp_path / "list.parquet")
    items = list_table(tmp_path / "list.parquet").items
    assert [(i.path, i.label, i.split) for i in items] == [
        ("a.png", "1", "train"),
        ("b.png", "2", "test"),
    ]
    frame.astype({"label": "category"}).to_parquet(tmp_path / "list.parquet")
    assert [i.label for i in list_table(tmp_path / "list.parquet").items] == ["1", "2"]


@pytest.mark.parametrize(
    "labels",
    [
        pd.Categorical(["1", "2"]),
        pd.Categorical([1, 2]),
        pd.array(["1", "2"], "string[pyarrow]"),
        pd.array([1, 2], "Int64"),
        pd.array(["1", "2"], "large_string[pyarrow]"),
        [b"1", b"2"],
    ],
)
def test_parquet_columns_of_all_kinds_of_text(tmp_path, labels):
    paths = pd.Categorical(["a.png", "/b.png"])
    splits = pd.Categorical(["train", "train"])
    columns = {"path": paths, "label": labels, "split": splits, "group": ["g", None]}
    pd.DataFrame(columns).to_parquet(tmp_path / "list.parquet")
    items = list_table(tmp_path / "list.parquet").items
    assert [(i.path, i.label, i.split, i.group) for i in items] == [
        ("a.png", "1", "train", "g"),
        ("/b.png", "2", "train", ""),
    ]


def test_what_is_missing_in_parquet_is_no_class(tmp_path):
    frame = pa.table({"path": ["a", "b", "c"], "label": pa.array([1.0, float("nan"), None])})
    parquet.write_table(frame, tmp_path / "list.parquet")
    with pytest.raises(DataError, match="label is empty in 2 rows: 2, 3"):
        list_table(tmp_path / "list.parquet")


def test_the_columns_of_a_table_are_told_whatever_they_are(table, tmp_path):
    assert columns_of(table("a, b\n1,2\n")) == ("a", "b")
    pd.DataFrame({"a": [1], "b": [2]}).to_parquet(tmp_path / "list.parquet")
    assert columns_of(tmp_path / "list.parquet") == ("a", "b")


def test_a_damaged_parquet_file_is_told(tmp_path):
    (tmp_path / "list.parquet").write_bytes(b"PAR1 nothing")
    with pytest.raises(DataError, match="can't be read"):
        list_table(tmp_path / "list.parquet")


def test_listed_files_that_are_missing_are_set_aside(table, tmp_path, write_image, told):
    rows = []
    for number in range(16):
        write_image(tmp_path / f"{number}.png", seed=number)
        rows.append(f"{number}.png,{'ab'[number % 2]}x")
    data = table("\n".join(["path,label", *rows, "gone.png,ax"]))
    manifest = read_data(data, DataOptions.model_validate({}), 1, told)
    assert Counter(item.status for item in manifest.items) == {"ok": 16, "bad": 1}
    assert "gone.png: no such file" in told.warned[0]


def test_groups_stay_whole_and_their_shares_are_told(table, tmp_path, write_image, told):
    rows = []
    for number in range(60):
        write_image(tmp_path / f"{number}.png", seed=number)
        rows.append(f"{number}.png,{'ab'[number % 2]}x,plant{number // 4}")
    data = table("\n".join(["path,label,group", *rows]))
    manifest = read_data(data, DataOptions.model_validate({}), 1, told)
    sides = {(item.group, item.split) for item in manifest.items}
    assert len(sides) == 15
    assert told.said == [
        "60 images in 15 groups, kept whole: val 13.3% (15.0% asked; 13.3% of ax), "
        "test 13.3% (15.0% asked; 13.3% of ax)."
    ]


def test_groups_that_data_itself_divides_are_warned_of(table, tmp_path, write_image, told):
    rows = []
    for number in range(8):
        write_image(tmp_path / f"{number}.png", seed=number)
        split = ("train", "train", "val", "test")[number // 2]
        rows.append(f"{number}.png,{'ab'[number % 2]}x,{split},g")
    read_data(
        table("\n".join(["path,label,split,group", *rows])), DataOptions.model_validate({}), 1, told
    )
    assert "1 group stands in more than one of the given splits" in told.warned[0]
