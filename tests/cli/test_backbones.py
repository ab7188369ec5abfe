from __future__ import annotations

from typer.testing import CliRunner, Result

from finetune.cli.app import app
from finetune.errors import RecipeError
from finetune.model.listing import SHORT_LIST


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["backbones", *arguments])


def rows(*arguments: str) -> list[list[str]]:
    """The cells of the table that is printed."""
    result = call(*arguments)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    start = next(at for at, line in enumerate(lines) if "───" in line) + 1
    end = next(at for at in range(start, len(lines)) if not lines[at].strip())
    return [line.split() for line in lines[start:end]]


def test_without_a_pattern_a_selection_and_how_to_see_more() -> None:
    result = call()
    assert all(result.stdout.count(name) == 1 for name in SHORT_LIST)
    assert "finetune backbones PATTERN" in result.stdout
    assert "–" not in result.stdout  # every one of them can be adapted
    assert max(map(len, result.stdout.splitlines())) <= 150


def test_a_pattern_lists_what_matches_up_to_the_limit() -> None:
    shown = call("test_*", "--limit", "2")
    assert len(shown.stdout.split("test_")) == 3
    assert "2 of " in shown.stdout
    assert "All: --limit " in shown.stdout


def test_a_name_shows_its_stages_as_recipes_call_them() -> None:
    found = rows("test_resnet", "--classes", "3")
    assert [row[0] for row in found] == ["stem", "layer1", "layer2", "layer3", "layer4", "head"]
    assert [row[1] for row in found[:-1]] == ["all", "last_4", "last_3", "last_2", "last_1"]
    assert found[0][-1] == "100.0%"
    shares = [float(row[-1].rstrip("%")) for row in found]
    assert shares == sorted(shares, reverse=True)


def test_a_name_with_weights_tells_their_licence() -> None:
    shown = call("mobilenetv2_100.ra_in1k", "--size", "160").stdout
    assert "Licence of the weights: apache-2.0" in shown
    assert "3.50 M parameters" in shown


def test_one_that_cannot_be_adapted_says_so() -> None:
    assert "isn't linear" in call("dla34").stdout
    assert "–" in " ".join(rows("dla34*", "--limit", "1")[0])


def test_one_without_weights_says_so() -> None:
    assert "timm has no weights for it" in call("test_mambaout").stdout


def test_no_match_is_told() -> None:
    assert isinstance(call("resnet5O").exception, RecipeError)
