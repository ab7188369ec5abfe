from __future__ import annotations

from pathlib import Path

import pytest

from finetune.errors import RunError
from finetune.run import RunDirectory, check_run_place, create_run, default_run_path, is_run


def test_a_run_inside_data_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="inside DATA"):
        create_run(tmp_path / "photos" / "run", data_folder(tmp_path))
    assert not (tmp_path / "photos" / "run").exists()


def test_a_run_through_a_link_into_data_is_refused(tmp_path: Path) -> None:
    data = data_folder(tmp_path)
    (tmp_path / "elsewhere").symlink_to(data)
    with pytest.raises(RunError, match="inside DATA"):
        check_run_place(tmp_path / "elsewhere" / "run", data)


def test_a_folder_with_something_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(RunError, match="not empty"):
        create_run(tmp_path / "run", data_folder(tmp_path))
    assert (tmp_path / "run" / "mine.txt").read_text(encoding="utf-8") == "mine"


def test_an_interrupted_run_is_offered_for_resuming(tmp_path: Path) -> None:
    run = create_run(tmp_path / "run", data_folder(tmp_path))
    run.write_text(run.recipe, "")
    run.write_json(run.environment, {})
    assert is_run(run.path)
    with pytest.raises(RunError, match="--resume"):
        check_run_place(run.path, data_folder(tmp_path))


def test_the_default_place_is_numbered_and_never_in_data(tmp_path: Path) -> None:
    data = data_folder(tmp_path)
    first = default_run_path(data, "lp_ft", tmp_path)
    assert first == tmp_path / "runs" / "photos-lp_ft-1"
    first.mkdir(parents=True)
    assert default_run_path(data, "lp_ft", tmp_path).name == "photos-lp_ft-2"
    assert default_run_path(data, "lp_ft", data).parent == tmp_path / "runs"


def test_a_missing_file_of_a_run_is_named(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    with pytest.raises(RunError, match=r"no metrics\.json"):
        run.read_json(run.metrics)


def data_folder(tmp_path: Path) -> Path:
    data = tmp_path / "photos"
    data.mkdir(exist_ok=True)
    return data
