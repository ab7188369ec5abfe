"""The sections of a model card, as lines of Markdown."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from finetune.report.card_data import data_name
from finetune.report.evidence import Evidence
from finetune.report.markdown import code_block, plain, table
from finetune.report.rendering import percent
from finetune.report.run_tables import class_scores, score_rows
from finetune.report.run_worries import run_worries, weak_classes
from finetune.text import plural

_PARTS = {"train": "train", "val": "validation", "test": "test"}
_MOST_CLASSES = 200
_MOST_WEAK = 8


def scores(evidence: Evidence) -> list[str]:
    """Those of all images with their intervals, and what a guess would score."""
    metrics = evidence.metrics
    images = plural(metrics["n"], f"{_PARTS.get(metrics['split'], 'scored')} image")
    groups = f" in {plural(metrics['groups'], 'group')}" if metrics["groups"] < metrics["n"] else ""
    found = score_rows(metrics)
    rows = [(row.name, _value(row.score), _range(row.score)) for row in found]
    doubts = [f"- Don't rely on {row.name}: {plain(row.doubt)}." for row in found if row.doubt]
    return [
        f"On {images}{groups}, after calibration. Log loss, Brier score and calibration error are "
        "errors: less is better.",
        "",
        *table(("score", "value", f"{metrics['confidence']:.0%} interval"), rows),
        *(["", *doubts] if doubts else []),
    ]


def worries(evidence: Evidence) -> list[str]:
    """The same as the report's, the gravest first."""
    found = [f"- {plain(worry.text)}" for worry in run_worries(evidence)]
    return found or ["None of the rules by which finetune warns applies."]


def classes(evidence: Evidence) -> list[str]:
    """A row a class, the weakest first."""
    rows = [
        (
            plain(row.name),
            f"{row.support:,}",
            _share(row.recall),
            _share(row.precision),
            _value(row.f1),
        )
        for row in class_scores(evidence.metrics)
    ]
    header = ("class", "images", "recall", "precision", "F1")
    return [
        "The weakest first. Recall: the share of the class that is recognised. Precision: the "
        "share of right ones among what is taken for the class.",
        "",
        *table(header, rows),
        *_cut(len(rows), len(evidence.metrics["classes"])),
    ]


def calibration(evidence: Evidence) -> list[str]:
    """Whether its probabilities can be believed, and what was done to that end."""
    metrics, phases = evidence.metrics, evidence.phases
    if not phases["calibrated_on"]:
        return ["The probabilities are not calibrated."]
    told = (
        f"Logits are divided by {phases['temperature']:.3f}, which was fitted on "
        f"{plain(phases['calibrated_on'])}."
    )
    error = metrics["ece"]["value"]
    if error is None:
        return [told]
    by_chance = f"chance alone would make it {100 * metrics['ece_by_chance']:.1f}"
    before = metrics.get("uncalibrated")
    raw = f", before that {100 * before['ece']['value']:.1f}" if before else ""
    return [
        f"{told} Confidence and accuracy are {100 * error:.1f} points apart on average "
        f"({by_chance}{raw})."
    ]


def limits(evidence: Evidence) -> list[str]:
    """What it can't do."""
    return [f"- {line}" for line in _limits(evidence)]


def _limits(evidence: Evidence) -> Iterator[str]:
    metrics = evidence.metrics
    yield (
        "It answers each picture with one of its classes, also one that shows none of them"
        f"{_unless(metrics.get('abstention'))}."
    )
    yield (
        "The scores say nothing of pictures by other cameras, of other places or of other times "
        "than those of its data."
    )
    if weak := weak_classes(metrics):
        named = ", ".join(
            f"{plain(name)} ({_share(metrics['per_class'][name]['recall'])})"
            for name in weak[:_MOST_WEAK]
        )
        more = f" and {len(weak) - _MOST_WEAK:,} more" if len(weak) > _MOST_WEAK else ""
        yield f"It recognises less often than the rest: {named}{more}."
    if reason := metrics["unsure"].get("class_scores"):
        yield f"Scores of small classes can't be relied on: {plain(reason)}."


def _unless(abstention: Mapping[str, Any] | None) -> str:
    if not abstention:
        return ": it does not know when not to answer"
    right = abstention["accuracy"]
    told = f", and {_share(right)} of those answers are right" if right["value"] is not None else ""
    return (
        f", unless `--abstain` is given: then {_share(abstention['answered'])} are answered{told}"
    )


def data(evidence: Evidence) -> list[str]:
    """How many images of each class it has learnt from, was chosen on and was scored on."""
    used = [item for item in evidence.items if item.status == "ok"]
    counts = Counter((item.label, item.split) for item in used)
    names = sorted({item.label for item in used})
    rows = [
        (plain(name), *(f"{counts[name, part]:,}" for part in _PARTS))
        for name in names[:_MOST_CLASSES]
    ]
    sums = (f"{sum(item.split == part for item in used):,}" for part in _PARTS)
    bad = sum(item.status == "bad" for item in evidence.items)
    unread = f" {plural(bad, 'file')} could not be read and took no part." if bad else ""
    return [
        f"{plain(data_name(evidence))}: {plural(len(used), 'image')}. It has learnt from the "
        "training images; choices were made on the validation images, the scores above are of the "
        f"{_PARTS.get(evidence.metrics['split'], 'scored')} images.{unread}",
        "",
        *table(("class", *_PARTS.values()), [*rows, ("*all*", *sums)]),
        *_cut(len(rows), len(names)),
        "",
        f"Digest of paths, labels, parts and files: `{evidence.environment['data']['digest']}`",
    ]


def usage(evidence: Evidence) -> list[str]:
    """By finetune, and by timm alone; ``model`` is the folder of the card."""
    temperature = evidence.phases["temperature"]
    mirrored = evidence.recipe.input.mirror
    both = (
        " The scores are of the mean logits of a picture and its mirror image." if mirrored else ""
    )
    return [
        "With `model` for the folder of this page:",
        "",
        *code_block("finetune predict model new_pictures --out predictions.csv", "bash"),
        "",
        *code_block(
            'import finetune\n\nframe = finetune.predict("model", "new_pictures")', "python"
        ),
        "",
        "Or the network alone:",
        "",
        *code_block(
            'import timm\n\nnetwork = timm.create_model("local-dir:model", pretrained=True).eval()',
            "python",
        ),
        "",
        "It takes pictures as `preprocessing.json` says, and gives a logit for each of the "
        f"`classes` there; probabilities are the softmax of logits / {temperature:.6g}.{both}",
    ]


def repetition(evidence: Evidence) -> list[str]:
    """The command and the recipe."""
    environment = evidence.environment
    words = ["finetune", "train", "DATA", "--recipe", "recipe.yaml"]
    if environment["weights"]["asked"]:
        words += ["--weights", "none" if not environment["weights"]["pretrained"] else "WEIGHTS"]
    for key in environment["data"]["named"]:
        words += ["--set", f"{key}=FILE"]
    digest = environment["weights"]["digest"]
    known = f" The digest of the weights is `{digest}`." if digest else ""
    return [
        f"With the same data, weights and versions, and this as `recipe.yaml`.{known}",
        "",
        *code_block(shlex.join(words), "bash"),
        "",
        *code_block(evidence.recipe_text, "yaml"),
    ]


def versions(evidence: Evidence) -> list[str]:
    """Of Python and the packages."""
    environment = evidence.environment
    rows = {"Python": environment["python"]} | environment["packages"]
    cells = [(plain(name), plain(str(value))) for name, value in rows.items() if value]
    return table(("package", "version"), cells, texts=2)


def _cut(shown: int, total: int) -> list[str]:
    return ["", f"Shown are {shown:,} of {total:,} classes."] if shown < total else []


def _value(score: Mapping[str, float | None]) -> str:
    return "–" if score["value"] is None else f"{score['value']:.3f}"


def _range(score: Mapping[str, float | None]) -> str:
    return "–" if score["value"] is None else f"{score['low']:.3f} – {score['high']:.3f}"


def _share(score: Mapping[str, Any]) -> str:
    """``90.8 % [85.2–94.5]``."""
    if score["value"] is None:
        return "–"
    return f"{percent(score['value'])} [{100 * score['low']:.1f}–{100 * score['high']:.1f}]"
