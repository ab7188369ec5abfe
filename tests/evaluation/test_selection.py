import numpy as np
import pytest
from scipy import stats

from finetune.evaluation.calibration import softmax
from finetune.evaluation.selection import choose_phase, standard_errors_asked

ON = "validation images"


def _phases(strengths: list[float], n: int = 235, seed: int = 0) -> tuple[list, np.ndarray]:
    """Phases that see the label through noise: the more strength, the better."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 3, n)
    shared = generator.normal(size=(n, 3))
    return [shared + strength * np.eye(3)[labels] for strength in strengths], labels


def test_a_better_phase_is_kept_and_told() -> None:
    logits, labels = _phases([1.0, 2.5])
    choice = choose_phase(logits, labels, ["probe", "tune"], judged_on=ON)
    [comparison] = choice.comparisons
    assert choice.kept == 1
    assert comparison.gain == pytest.approx(choice.log_losses[0] - choice.log_losses[1])
    assert choice.reasons[1] == (
        f"tune is kept: its log loss of {choice.log_losses[1]:.3f} is better than probe's "
        f"{choice.log_losses[0]:.3f} by {comparison.gain:.3f} ± {comparison.error:.3f} "
        "(standard error, 235 validation images)."
    )
    assert choice.reasons[0].startswith("probe gives way to tune: ")


def test_the_standard_error_is_that_of_paired_differences() -> None:
    logits, labels = _phases([1.0, 1.2])
    choice = choose_phase(logits, labels, ["a", "b"], judged_on=ON)
    own = [
        -np.log(softmax(each, t)[np.arange(235), labels])
        for each, t in zip(logits, choice.temperatures, strict=True)
    ]
    difference = own[0] - own[1]
    assert choice.comparisons[0].error == pytest.approx(difference.std(ddof=1) / np.sqrt(235))


def test_a_gain_within_the_error_is_not_enough() -> None:
    generator = np.random.default_rng(5)
    (first, stronger), labels = _phases([1.0, 1.06])
    within = 0
    for _ in range(20):
        noisy = stronger + generator.normal(size=first.shape) * 0.3
        choice = choose_phase([first, noisy], labels, ["probe", "tune"], judged_on=ON)
        comparison = choice.comparisons[0]
        assert choice.kept == (1 if comparison.gain > comparison.error else 0)
        if 0 < comparison.gain <= comparison.error:
            within += 1
            assert "not more than one standard error" in choice.reasons[1]
    assert within > 0


def test_few_images_have_to_be_surer() -> None:
    """Better by 1 to 1.65 standard errors: enough for 200 images, and not for fewer."""
    assert standard_errors_asked(200, 200) == standard_errors_asked(10**6, 40) == 1
    assert standard_errors_asked(199, 199) == pytest.approx(stats.t.ppf(0.95, 198))
    assert standard_errors_asked(20, 20) == pytest.approx(stats.t.ppf(0.95, 19))
    asked = [standard_errors_asked(n, n) for n in range(300)]
    assert asked == sorted(asked, reverse=True)
    generator = np.random.default_rng(5)
    between = []
    for n in [60] * 60 + [200] * 60:
        (first, stronger), labels = _phases([1.0, 1.15], n, int(generator.integers(10**6)))
        noisy = stronger + generator.normal(size=first.shape) * 0.3
        choice = choose_phase([first, noisy], labels, ["probe", "tune"], judged_on=ON)
        [comparison] = choice.comparisons
        errors = comparison.gain / comparison.error
        assert choice.kept == (errors > comparison.asked)
        if 1 < errors < 1.6:
            between.append(n)
            assert choice.kept == (n == 200)
            if n < 200:
                assert ", not more than 1.67 standard errors (standard error" in choice.reasons[1]
    assert set(between) == {60, 200}


def test_few_images_in_groups_have_the_freedom_of_groups() -> None:
    logits, labels = _phases([1.0, 1.2], n=20)
    for copies, asked in ((9, stats.t.ppf(0.95, 19)), (10, 1.0)):
        copied = [np.repeat(each, copies, 0) for each in logits], np.repeat(labels, copies)
        groups = np.repeat(np.arange(20), copies)
        choice = choose_phase(*copied, ["a", "b"], judged_on=ON, groups=groups)
        assert choice.comparisons[0].asked == pytest.approx(asked)


def test_a_worse_phase_is_told_as_worse() -> None:
    logits, labels = _phases([2.5, 1.0])
    choice = choose_phase(logits, labels, ["probe", "tune"], judged_on=ON)
    assert choice.kept == 0
    assert choice.reasons[0].startswith("probe is kept: no later phase's log loss is better")
    assert "is worse than probe's" in choice.reasons[1]
    assert choice.reasons[1].startswith("tune is not kept")


def test_each_phase_has_to_beat_the_best_before_it() -> None:
    logits, labels = _phases([1.0, 3.0, 2.0, 4.5])
    choice = choose_phase(logits, labels, ["a", "b", "c", "d"], judged_on=ON)
    assert [comparison.rival for comparison in choice.comparisons] == [0, 1, 1]
    assert choice.kept == 3
    assert choice.reasons[1].startswith("b gives way to d")
    assert choice.reasons[2].startswith("c is not kept")


def test_overconfidence_alone_loses_nothing() -> None:
    logits, labels = _phases([1.0, 2.5])
    choice = choose_phase([logits[0], logits[1] * 8], labels, ["a", "b"], judged_on=ON)
    assert choice.kept == 1
    assert choice.temperatures[1] > 2 * choice.temperatures[0]


def test_one_phase() -> None:
    logits, labels = _phases([1.0])
    choice = choose_phase(logits, labels, ["probe"], judged_on=ON)
    assert (choice.kept, choice.reasons) == (0, ("probe is kept: it is the only phase.",))


@pytest.mark.parametrize("n", [0, 1])
def test_too_few_images_keep_the_first(n: int) -> None:
    logits, labels = _phases([1.0, 4.0])
    choice = choose_phase([each[:n] for each in logits], labels[:n], ["a", "b"], judged_on=ON)
    assert choice.kept == 0
    assert choice.reasons[0].startswith("a is kept")
    assert choice.reasons[1].startswith("b is not kept")


def test_phases_that_agree_keep_the_first() -> None:
    logits, labels = _phases([1.0])
    choice = choose_phase([logits[0], logits[0]], labels, ["a", "b"], judged_on=ON)
    assert choice.kept == 0
    assert "no measurable gain" in choice.reasons[1]


def test_rare_classes_can_count_as_much_as_common_ones() -> None:
    """A phase that gives up the rare class is kept by images, and not by classes."""
    generator = np.random.default_rng(0)
    labels = np.repeat([0, 1], [180, 20])
    answers = np.where(np.arange(200) % 5 == 0, 1 - labels, labels)  # 4 of 5 right in each class
    fair = generator.normal(0, 0.05, (200, 2))
    fair[np.arange(200), answers] += 1.4
    common = np.tile([2.2, 0.0], (200, 1)) + generator.normal(0, 0.05, (200, 2))
    weights = np.where(labels == 0, 200 / 360, 200 / 40)
    by_images = choose_phase([fair, common], labels, ["fair", "common"], judged_on=ON)
    assert by_images.kept == 1
    by_classes = choose_phase(
        [common, fair], labels, ["common", "fair"], judged_on=ON, weights=weights
    )
    assert by_classes.kept == 1
    assert "all classes counting alike" in by_classes.reasons[1]


def test_copies_of_the_judging_images_make_it_no_surer() -> None:
    logits, labels = _phases([1.0, 1.2], n=40)
    copied = [np.repeat(each, 9, 0) for each in logits], np.repeat(labels, 9), ["a", "b"]
    alone = choose_phase(*copied, judged_on=ON).comparisons[0]
    grouped = choose_phase(*copied, judged_on=ON, groups=np.repeat(np.arange(40), 9))
    wider = 3 * np.sqrt((40 / 39) / (360 / 359))
    assert grouped.comparisons[0].gain == alone.gain
    assert grouped.comparisons[0].error == pytest.approx(wider * alone.error)
    assert "360 validation images in 40 groups" in grouped.reasons[1]
