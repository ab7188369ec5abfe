import numpy as np

from finetune.evaluation.trust import unsure

CLASSES = ["ant", "bee\x1b", "wasp"]


def test_enough_of_all_is_relied_on() -> None:
    assert unsure(np.repeat([0, 1], [10, 60]), CLASSES, None, 0.1, 0.01) == {}
    assert unsure(np.empty(0, dtype=np.int64), CLASSES, None, None, None) == {}


def test_a_small_class_spoils_means_over_classes() -> None:
    told = unsure(np.repeat([0, 1], [60, 9]), CLASSES, None, 0.1, 0.01)
    assert set(told) == {
        "balanced_accuracy", "macro_f1", "roc_auc", "average_precision", "class_scores",
    }  # fmt: skip
    assert told["macro_f1"] == "1 class of fewer than 10 images: bee\\u001b"


def test_few_images_and_chance_are_told() -> None:
    told = unsure(np.repeat([0, 1], [20, 20]), CLASSES, None, 0.05, 0.04)
    assert told["brier"] == told["log_loss"] == "there are 40 images in all"
    assert told["ece"] == "chance alone would make it 0.040"


def test_groups_are_what_counts() -> None:
    told = unsure(np.repeat([0, 1], [60, 60]), CLASSES, np.arange(120) // 20, 0.1, 0.01)
    assert told["accuracy"] == "there are 6 groups in all"
    assert told["class_scores"] == "2 classes of fewer than 10 groups: ant, bee\\u001b"
