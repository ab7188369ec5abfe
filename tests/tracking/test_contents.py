from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from finetune.recipe.schema import Recipe
from finetune.run import RunDirectory
from finetune.tracking.contents import beginning_of, ending_of, epoch_of, parameters

KEYS = st.text("abc", min_size=1, max_size=3)
SCALARS = st.integers() | st.text(max_size=3) | st.none() | st.booleans()
TREES = st.recursive(
    SCALARS | st.lists(SCALARS, max_size=3),
    lambda below: (
        st.dictionaries(KEYS, below, min_size=1, max_size=3)
        | st.lists(st.dictionaries(KEYS, below, min_size=1, max_size=2), min_size=1, max_size=3)
    ),
    max_leaves=8,
)


def leaves(value: object) -> int:
    if isinstance(value, dict):
        return sum(leaves(each) for each in value.values())
    if isinstance(value, list) and value and all(isinstance(each, dict) for each in value):
        return sum(leaves(each) for each in value)
    return 1


@given(st.dictionaries(KEYS, TREES, min_size=1))
def test_no_parameter_is_lost(tree: dict[str, object]) -> None:
    assert len(dict(parameters(tree))) == leaves(tree)


def test_parameters_have_the_keys_of_the_command_line(recipe: Recipe) -> None:
    told = dict(parameters(recipe.model_dump()))
    assert told["phases.all.epochs"] == "3"
    assert told["data.stratify"] == "true"
    assert told["phases.tune.augment"] == "null"
    assert told["track"] == '["tensorboard"]'


def test_a_beginning_names_data_and_versions_and_no_folder_of_the_person(
    complete: RunDirectory, recipe: Recipe
) -> None:
    beginning = beginning_of(complete, recipe)
    assert (beginning.name, beginning.data) == ("photos-own-1", "photos")
    assert beginning.parameters["version.torch"] == "2.15.0"
    assert "version.h5py" not in beginning.parameters
    assert not any("secret" in value for value in beginning.parameters.values())


def test_an_epoch_has_the_numbers_that_are_known(rows: list[dict[str, str]]) -> None:
    epoch = epoch_of(4, rows[3], ["tune", "all"])
    assert (epoch.step, epoch.fit, epoch.phase, epoch.place) == (4, "main", "all", 2)
    assert epoch.numbers == {"epoch": 1.0, "lr": 0.1, "train_loss": 0.4}


def test_an_ending_has_scores_with_intervals_and_the_files_of_the_run(
    complete: RunDirectory,
) -> None:
    ending = ending_of(complete)
    assert ending.kept == "all"
    assert ending.scores == {
        "test_n": 40.0,
        "test_accuracy": 0.9,
        "test_accuracy_low": 0.8,
        "test_accuracy_high": 0.95,
        "test_ece": 0.9,
        "test_ece_high": 0.95,
        "test_baseline_majority": 0.9,
        "test_baseline_majority_low": 0.8,
        "test_baseline_majority_high": 0.95,
    }
    names = {file.relative_to(complete.path).as_posix() for file in ending.files}
    assert {"log.csv", "model/config.json", "images/1.jpg", "metrics.json"} <= names
    assert not names & {"notes.txt", ".lock", "images/.1.part"}
    assert not any(name.startswith("checkpoints") for name in names)
