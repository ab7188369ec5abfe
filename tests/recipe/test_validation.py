from __future__ import annotations

import pytest

from finetune.errors import RecipeError
from finetune.recipe.outline import outline, places
from finetune.recipe.schema import Recipe
from finetune.recipe.validation import validate
from finetune.recipe.yaml_reader import read_text

HEAD = "name: r\n"
PROBE = "phases:\n  - {name: probe, solver: lbfgs}\n"


def faults(text: str) -> list[str]:
    with pytest.raises(RecipeError) as error:
        validate(read_text(text, "r.yaml"))
    return error.value.found.split("\n")


def only_fault(text: str) -> str:
    (fault,) = faults(text)
    return fault


def test_a_valid_tree_becomes_a_recipe() -> None:
    recipe = validate(read_text(HEAD + PROBE, "r.yaml"))
    assert isinstance(recipe, Recipe)
    assert recipe.phases[0].name == "probe"


def test_all_faults_are_told_together_in_the_order_of_the_file() -> None:
    text = (
        "name: r\nseed: many\ndata:\n  val: 2\n"
        "phases:\n  - {name: p, train: all, epoch: 3}\nkeep: none\n"
    )
    told = faults(text)
    assert [fault.split(": ")[0] for fault in told] == [
        "r.yaml:2",
        "r.yaml:4",
        "r.yaml:6",
        "r.yaml:7",
    ]


def test_an_unknown_key_is_told_with_the_nearest_and_the_valid_ones() -> None:
    fault = only_fault(HEAD + PROBE + "input:\n  fitt: crop\n")
    assert fault == (
        "r.yaml:5: input.fitt: unknown key; the nearest is fit (the keys here: size, fit, mirror)"
    )


@pytest.mark.parametrize(
    ("key", "nearest"), [("Stratify", "stratify"), ("on-bad-image", "on_bad_image")]
)
def test_case_and_hyphens_are_seen_through(key: str, nearest: str) -> None:
    assert f"the nearest is {nearest} " in only_fault(HEAD + PROBE + f"data: {{{key}: x}}\n")


def test_a_key_in_the_wrong_place_is_told_with_its_place() -> None:
    fault = only_fault(HEAD + PROBE + "backbone: resnet18\n")
    assert "backbone: unknown key; there is model.backbone " in fault


def test_a_key_like_no_other_gets_no_suggestion() -> None:
    assert "zzzz: unknown key (the keys here: name, model, " in only_fault(HEAD + PROBE + "zzzz: 1")


def test_a_solver_phase_has_no_epochs() -> None:
    fault = only_fault(HEAD + "phases:\n  - name: p\n    solver: lbfgs\n    epochs: 3\n")
    assert fault.startswith("r.yaml:5: phases.0.epochs: a solver phase has no epochs;")


def test_a_gradient_phase_has_no_folds() -> None:
    fault = only_fault(HEAD + "phases:\n  - {name: p, train: all, epochs: 3, folds: 3}\n")
    assert fault.startswith("r.yaml:3: phases.0.folds: only a solver phase has folds;")


def test_a_solver_trains_the_head_alone() -> None:
    fault = only_fault(HEAD + "phases:\n  - {name: p, solver: lbfgs, train: all}\n")
    assert fault == "r.yaml:3: phases.0.train: must be head; got 'all'"


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("l2: 0.1", "phases.0.l2: prototypes have none; remove it"),
        (
            "loss: {class_weights: sqrt}",
            "phases.0.loss: prototypes count all classes alike; remove class_weights",
        ),
    ],
)
def test_prototypes_have_less_to_say(said: str, message: str) -> None:
    fault = only_fault(HEAD + f"phases:\n  - {{name: p, solver: prototype, {said}}}\n")
    assert fault == f"r.yaml:3: {message}"


def test_prototypes_that_count_classes_alike_are_not_adjusted_again() -> None:
    phase = "phases:\n  - {name: p, solver: prototype, l2: auto}\n"
    fault = only_fault(HEAD + phase + "evaluate: {logit_adjustment: 1.0}\n")
    assert "evaluate.logit_adjustment and phases.p.solver each make rare classes count" in fault


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seed: true", "seed: must be a whole number, at least 0 and below 9223372036854775808"),
        ("seed: '1'", "seed: must be a whole number, at least 0 and below 9223372036854775808"),
        ("data: {val: x}", "data.val: must be a number, at least 0 and below 1; got 'x'"),
        ("data: {val: .nan}", "data.val: must be a number, at least 0 and below 1; got nan"),
        ("data: {stratify: 'no'}", "data.stratify: must be true or false; got 'no'"),
        ("data: {stratify: no}", "data.stratify: must be true or false; got 'no'"),
        ("input: {size: 8}", "input.size: must be auto, or a whole number, from 16 to 2048; got 8"),
        ("input: {fit: cut}", "input.fit: must be crop, squash or letterbox; got 'cut'"),
        ("model: {backbone: 50}", "model.backbone: must be text, not empty; got 50"),
        ("model: {backbone: ''}", "model.backbone: must be text, not empty; got ''"),
        ("model: resnet50", "model: must be a mapping; got 'resnet50'"),
        ("model:", "model: must be a mapping; got null"),
        ("augment: {transforms: 3}", "augment.transforms: must be a list of at most 32, or null"),
        (
            "augment: {transforms: [{name: x, args: {a: {b: 1}}}]}",
            "augment.transforms.0.args.a: must be a plain value, a list (each a plain value), a "
            "list (each a list (each a plain value)), or null; got a mapping",
        ),
        ("augment: {transforms: [{p: 1}]}", "augment.transforms.0.name: is missing: "),
        ("data: {val: 0.5, test: 0.5}", "data: val + test is 1; keep it under 0.9"),
    ],
)
def test_a_wrong_value_is_told_in_plain_words(text: str, message: str) -> None:
    assert only_fault(f"{HEAD}{PROBE}{text}\n").startswith(f"r.yaml:4: {message}")


@pytest.mark.parametrize(
    ("phase", "message"),
    [
        ("name: p\n    train: all", "phases.0: give epochs or steps, one of them"),
        ("name: p\n    epochs: 3", "phases.0.train: is missing: head; last_N"),
        (
            "name: p\n    train: all\n    epochs: 3\n    lr_schedule: {milestones: [0.5]}",
            "phases.0.lr_schedule.milestones: needed by the step schedule",
        ),
        (
            "name: p\n    train: all\n    epochs: 3\n"
            "    lr_schedule: {name: step, milestones: [0.5, 3]}",
            "phases.0.lr_schedule.milestones.1: must be a number, above 0 and below 1; got 3",
        ),
        (
            "name: p\n    train: all\n    epochs: 3\n    early_stopping: 3",
            "phases.0.early_stopping: must be a mapping, or null; got 3",
        ),
        (
            "name: p\n    train: head\n    epochs: 3\n    l2_sp: 0.01",
            "phases.0.l2_sp: holds the backbone, of which nothing trains here; remove it",
        ),
        (
            "name: p\n    train: head\n    epochs: 3\n    co_tuning: 2.3",
            "phases.0.co_tuning: holds the backbone, of which nothing trains here; remove it",
        ),
        (
            "name: p\n    train: all\n    epochs: 3\n    interpolate: 0.5",
            "phases.0.interpolate: must be true or false; got 0.5",
        ),
    ],
)
def test_a_wrong_phase_is_told_without_the_kind_in_its_key(phase: str, message: str) -> None:
    assert f": {message}" in only_fault(f"{HEAD}phases:\n  - {phase}\n")


def test_a_phase_that_is_no_mapping_is_told() -> None:
    assert only_fault(HEAD + "phases: [probe]") == (
        "r.yaml:2: phases.0: must be a mapping; got 'probe'"
    )


def test_a_recipe_needs_phases() -> None:
    assert only_fault(HEAD).startswith("r.yaml:1: phases: is missing: The schedule")
    assert only_fault(HEAD + "phases: []") == (
        "r.yaml:2: phases: must be a list of 1 to 32; got a list of 0"
    )


def test_two_phases_of_one_name_are_told_at_the_phases() -> None:
    text = HEAD + "seed: 1\nphases:\n- {name: p, solver: lbfgs}\n- {name: p, solver: lbfgs}\n"
    assert only_fault(text) == "r.yaml:3: phases: two are named p"


def test_earlier_faults_are_told_first() -> None:
    with pytest.raises(RecipeError) as error:
        validate(read_text(HEAD + PROBE + "keep: x\n", "r.yaml"), ["--set a: earlier"])
    assert error.value.found.split("\n")[0] == "--set a: earlier"
    with pytest.raises(RecipeError, match=r"^--set a: earlier$"):
        validate(read_text(HEAD + PROBE, "r.yaml"), ["--set a: earlier"])


def test_control_characters_do_no_harm() -> None:
    fault = only_fault(HEAD + PROBE + '"\\e[31mred": "\\n"\n')
    assert "\x1b" not in fault
    assert "\\u001b[31mred: unknown key" in fault


def test_every_key_has_a_plain_expectation_and_a_description() -> None:
    told = dict(places(outline()))
    assert {"phases.N.epochs", "phases.N.solver", "augment.transforms.N.args"} <= told.keys()
    for key, place in told.items():
        assert place.expects, key
        assert place.description, key
        assert place.keys or place.items or place.values or place.expects != "a mapping", key


def test_every_closed_key_refuses_a_wrong_type_in_its_own_name() -> None:
    for key, place in places(outline()):
        if key.startswith("phases") or ".N." in key or place.values is not None:
            continue
        first, *below = key.split(".")
        wrong = "'wrong type'" if "text" not in place.expects else "[]"
        nested = f"{first}: " + "".join(f"{{{part}: " for part in below) + wrong + "}" * len(below)
        text = "".join(line for line in (HEAD, PROBE) if not line.startswith(f"{key}:"))
        assert f": {key}: must be {place.expects}; got" in only_fault(text + nested)


@pytest.mark.parametrize(
    ("group", "told"),
    [
        ("all", "data.group: must be auto or none, or a mapping; got 'all'"),
        ("{patern: x}", "data.group.patern: unknown key; the nearest is pattern (the keys here: "),
        ("{}", "data.group: give pattern or exif, one of them"),
        ("{pattern: x, exif: 3}", "data.group: give pattern or exif, one of them"),
        ("{exif: 0}", "data.group.exif: must be a number, above 0 and at most 525600, or null; "
         "got 0"),
        ("{pattern: 'a(b'}", "data.group.pattern: is no regular expression: missing ), "
         "unterminated subpattern at position 1"),
        ("{pattern: 'a{99999999999999}'}", "data.group.pattern: is no regular expression: the "),
        (f"{{pattern: '{'a' * 201}'}}", "data.group.pattern: has 201 characters; 200 are the most"),
    ],
)  # fmt: skip
def test_a_group_is_told_by_its_own_key(group: str, told: str) -> None:
    assert only_fault(f"{HEAD}{PROBE}data:\n  group: {group}\n").startswith(f"r.yaml:5: {told}")


def test_patterns_that_python_warns_of_are_taken() -> None:
    recipe = validate(read_text(f"{HEAD}{PROBE}data: {{group: {{pattern: '[[a]'}}}}", "r.yaml"))
    assert recipe.data.group.pattern == "[[a]"
