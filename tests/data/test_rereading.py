from __future__ import annotations

import pytest

from finetune.console import Silent
from finetune.data.reading import read_data
from finetune.data.rereading import read_labelled, verify_unchanged
from finetune.errors import DataError, RunError
from finetune.recipe.schema import DataOptions


def test_scoring_keeps_the_models_classes(write_folder, told):
    root = write_folder({"cat": 3, "cow": 2})
    manifest = read_labelled(root, ("ape", "cat", "cow"), 10**6, told)
    assert manifest.classes == ("ape", "cat", "cow")
    assert {item.split for item in manifest.items} == {""}
    assert manifest.labels(manifest.items).tolist() == [1, 1, 1, 2, 2]
    with pytest.raises(DataError, match="1 class that the model doesn't know: cow"):
        read_labelled(root, ("ape", "cat"), 10**6, told)


def test_a_changed_or_missing_file_is_noticed(write_folder, write_image):
    root = write_folder({"cat": 5, "dog": 5})
    manifest = read_data(root, DataOptions.model_validate({}), 1, Silent())
    verify_unchanged(manifest, 10**6, Silent())
    (root / "cat" / "0.png").unlink()
    write_image(root / "dog" / "1.png", seed=77)
    with pytest.raises(RunError) as caught:
        verify_unchanged(manifest, 10**6, Silent())
    assert "cat/0.png (no such file)" in str(caught.value)
    assert "dog/1.png (other bytes)" in str(caught.value)
