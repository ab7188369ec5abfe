from __future__ import annotations

from pathlib import Path

import pytest

from finetune.errors import RunError
from finetune.run import (
    RunDirectory,
    check_run_place,
    default_run_path,
    is_beginning,
    is_run,
    new_run,
    place_for,
)


def test_a_run_inside_data_is_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(RunError, match="inside DATA"),
        new_run(tmp_path / "photos" / "run", data_folder(tmp_path)),
    ):
        pass
    assert not (tmp_path / "photos" / "run").exists()


def test_a_run_through_a_link_into_data_is_refused(tmp_path: Path) -> None:
    data = data_folder(tmp_path)
    (tmp_path / "elsewhere").symlink_to(data)
    with pytest.raises(RunError, match="inside DATA"):
        check_run_place(tmp_path / "elsewhere" / "run", data)


def test_a_folder_with_something_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine.txt").write_text("mine", encoding="utf-8")
    with (
        pytest.raises(RunError, match="not empty"),
        new_run(tmp_path / "run", data_folder(tmp_path)),
    ):
        pass
    assert (tmp_path / "run" / "mine.txt").read_text(encoding="utf-8") == "mine"


def test_an_interrupted_run_is_offered_for_resuming(tmp_path: Path) -> None:
    with new_run(tmp_path / "run", data_folder(tmp_path)) as run:
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


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("photos.zip", "photos"),
        ("photos.tar.gz", "photos"),
        ("Photos.TAR.XZ", "Photos"),
        ("photos.tgz", "photos"),
        ("photos.v2.csv", "photos.v2"),
        (".tar.gz", "tar"),
    ],
)
def test_the_default_place_is_called_after_the_file(tmp_path: Path, file: str, name: str) -> None:
    (tmp_path / file).touch()
    assert default_run_path(tmp_path / file, "lp_ft", tmp_path).name == f"{name}-lp_ft-1"


def test_a_default_place_is_taken_once(tmp_path: Path) -> None:
    data = data_folder(tmp_path)
    with place_for(None, data, "r", tmp_path) as one, place_for(None, data, "r", tmp_path) as two:
        assert [one.name, two.name] == ["photos-r-1", "photos-r-2"]
        (two / "kept").touch()
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["photos-r-2"]


def test_two_processes_that_begin_at_once_get_two_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one takes the number after this one has found it free."""
    data, free = data_folder(tmp_path), default_run_path
    taken: list[Path] = []

    def overtaken(*arguments: object) -> Path:
        place = free(*arguments)  # type: ignore[arg-type]
        if not taken:
            taken.append(place)
            place.mkdir(parents=True)
        return place

    monkeypatch.setattr("finetune.run.default_run_path", overtaken)
    with place_for(None, data, "r", tmp_path) as place:
        assert taken[0].name == "photos-r-1"
        assert place.name == "photos-r-2"


def test_a_run_that_did_not_begin_leaves_nothing(tmp_path: Path) -> None:
    path, data = tmp_path / "run", data_folder(tmp_path)
    with pytest.raises(ZeroDivisionError):
        fail_to_begin(path, data)
    assert not path.exists()
    path.mkdir()
    with pytest.raises(ZeroDivisionError):
        fail_to_begin(path, data)
    assert not any(path.iterdir())


def fail_to_begin(path: Path, data: Path) -> None:
    with new_run(path, data) as run:
        run.write_text(run.recipe, "recipe")
        run.write_text(run.data, "data")
        raise ZeroDivisionError


def test_what_a_killed_beginning_left_is_begun_afresh(tmp_path: Path) -> None:
    run, data = RunDirectory(tmp_path / "run"), data_folder(tmp_path)
    for name in (".lock", "recipe.yaml", "data.csv", ".environment.json.x1.part"):
        run.write_text(run.path / name, "left")
    assert is_beginning(run.path)
    check_run_place(run.path, data)
    with new_run(run.path, data) as again:
        assert [path.name for path in run.path.iterdir()] == [".lock"]
        again.write_json(again.environment, {})
    assert [path.name for path in run.path.iterdir()] == ["environment.json"]


@pytest.mark.parametrize("more", ["environment.json", "mine.txt", ".part"])
def test_only_a_beginning_is_begun_afresh(tmp_path: Path, more: str) -> None:
    run, data = RunDirectory(tmp_path / "run"), data_folder(tmp_path)
    run.write_text(run.recipe, "somebody's own")
    with pytest.raises(RunError, match="not empty"):
        check_run_place(run.path, data)
    run.write_text(run.lock, "")
    check_run_place(run.path, data)
    run.write_text(run.path / more, "")
    with pytest.raises(RunError, match="not empty"):
        check_run_place(run.path, data)


def test_a_missing_file_of_a_run_is_named(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    with pytest.raises(RunError, match=r"no metrics\.json"):
        run.read_json(run.metrics)


def data_folder(tmp_path: Path) -> Path:
    data = tmp_path / "photos"
    data.mkdir(exist_ok=True)
    return data
