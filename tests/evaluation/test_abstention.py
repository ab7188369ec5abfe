import numpy as np

from finetune.evaluation.abstention import Abstention, Conformal, Precision, Unlike
from finetune.evaluation.novelty import directions

CLASSES = ("ant", "bee\x1b", "wasp")
PROBABILITIES = np.array(
    [[0.9, 0.05, 0.05], [0.5, 0.45, 0.05], [0.1, 0.8, 0.1], [0.34, 0.33, 0.33]]
)
FEATURES = np.eye(4)
UNLIKE = Unlike(0.99, 0.5, 100, directions(np.tile(FEATURES[:1], (10, 1))))


def test_each_reason_is_told_in_words() -> None:
    precision = Abstention(precision=Precision(0.95, (0.6, None, 0.2), 100))
    below = "below the precision of 0.95"
    assert precision.reasons(PROBABILITIES, FEATURES, CLASSES) == ["", below, below, below]
    conformal = Abstention(conformal=Conformal(0.9, -np.log(0.4), 100))
    both = "two or more classes are possible: ant, bee\\u001b"
    none = "no class is likely enough"
    assert conformal.reasons(PROBABILITIES, FEATURES, CLASSES) == ["", both, "", none]
    far = "unlike the training images"
    assert Abstention(unlike=UNLIKE).reasons(PROBABILITIES, FEATURES, CLASSES) == [
        "",
        far,
        far,
        far,
    ]


def test_reasons_are_told_together() -> None:
    all_three = Abstention(
        Precision(0.95, (0.6, None, 0.2), 100), Conformal(0.9, -np.log(0.4), 100), UNLIKE
    )
    first, second, *_ = all_three.reasons(PROBABILITIES, FEATURES, CLASSES)
    assert first == ""
    assert second.split("; ") == [
        "unlike the training images",
        "below the precision of 0.95",
        "two or more classes are possible: ant, bee\\u001b",
    ]


def test_nothing_held_answers_everything() -> None:
    assert not Abstention()
    assert Abstention().reasons(PROBABILITIES, FEATURES, CLASSES) == [""] * 4
    assert Abstention(unlike=UNLIKE).reasons(PROBABILITIES[:0], FEATURES[:0], CLASSES) == []
