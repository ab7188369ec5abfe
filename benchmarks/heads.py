"""Heads on frozen features where there are few images, side by side.

    python benchmarks/heads.py DATASETS WEIGHTS [--sets NAME...] [--each 2 5 10 20 0]
        [--seeds 1 2 3 4 5]

DATASETS is a folder of data sets in the forms that `finetune train` takes. Each picture passes
through the network once for each of its views (seven varied ones, of the policy `light`),
which are kept in the feature store. For each set and seed, training images are chosen as in
`options.py`: N a class; or all, 0, of which one view serves. The same images, folds and test
images serve all heads; none learns from validation images.

The heads are those of a solver phase, called as the phase calls them; and, to know what a linear
layer misses, one that can't be shipped as such: scikit-learn's ridge regression on Nystroem's
features of a Gaussian kernel between directions, whose width and penalty have the lowest
cross-validated log loss of calibrated answers. Every head is compared with `lbfgs` on one view,
image by image, with a bootstrap over images (`paired.py`). Log losses are of answers that are
calibrated out-of-fold.

What was measured is kept in `results/heads.json`, and what is there isn't measured again; the
table is written to `results/heads.md`.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from options import Case, table_of
from paired import differences, interval
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import Ridge

from finetune.api.planning import plan_recipe, setting_of
from finetune.console import Silent
from finetune.evaluation.calibration import fit_temperature, log_losses
from finetune.recipe.loading import load_recipe
from finetune.recipe.schema import SolverPhase
from finetune.training.heads import folds_of, unit
from finetune.training.phases import inputs_of
from finetune.training.solvers import SOLVERS, Examples

RESULTS = Path(__file__).parent / "results"
VIEWS, FOLDS, BASE = 8, 5, "lbfgs, 1 view"
KERNEL = "kernel, 1 view"
HEADS = (*(f"{name}, {views}" for views in ("1 view", "8 views") for name in SOLVERS), KERNEL)
GAMMAS = (0.25, 0.5, 1.0, 2.0)
PENALTIES = tuple(float(10.0**power) for power in np.arange(-4, 2.1, 0.5))
LANDMARKS = 300
ALL = 10**9


@dataclass(frozen=True)
class Pictures:
    """A data set as the network sees it.

    Attributes:
        features: Of each view, ``[V, N, D]``.
        labels: Class indices ``[N]``.
        classes: How many classes there are.
        places: Where in that each file is.
    """

    features: np.ndarray
    labels: np.ndarray
    classes: int
    places: dict[str, int]


@dataclass(frozen=True)
class Chosen:
    """What a case learns from, and what judges it: positions and groups."""

    learn: np.ndarray
    groups: list[str]
    judge: np.ndarray


@dataclass(frozen=True)
class Measured:
    """A head on a case: of each test image, by its position, whether it was right."""

    case: Case
    head: str
    images: int
    log_loss: float
    judged: list[int]
    right: str

    @property
    def correct(self) -> dict[str, bool]:
        return {str(n): right == "1" for n, right in zip(self.judged, self.right, strict=True)}

    @property
    def accuracy(self) -> float:
        return self.right.count("1") / len(self.right)


Own = Sequence[Measured]


def look(folder: Path, weights: Path) -> Pictures:
    """All pictures of a set, through the feature store."""
    varied = [f"phases.probe.views={VIEWS}", "augment.policy=light"]
    recipe = load_recipe("linear_probe", varied)
    planned = plan_recipe(folder, recipe, [], weights, Silent())
    setting, (phase,) = setting_of(planned, None, Silent()), planned.recipe.phases
    assert isinstance(phase, SolverPhase)
    manifest = planned.manifest
    items = [item for item in manifest.items if item.status == "ok"]
    features = inputs_of(setting, setting.pristine, phase, items, pristine=True)
    places = {str(manifest.file(item).resolve()): n for n, item in enumerate(items)}
    return Pictures(features, manifest.labels(items), len(manifest.classes), places)


def heads_of(case: Case) -> list[str]:
    """The heads that are measured on a case."""
    return [head for head in HEADS if case.each or head.endswith("1 view")]


def chosen(datasets: Path, case: Case, pictures: Pictures) -> Chosen:
    with tempfile.TemporaryDirectory() as folder:
        file = table_of(datasets, case, Path(folder) / "images.csv")
        table = pd.read_csv(file, dtype=str, keep_default_na=False)
    table["place"] = table["path"].map(pictures.places)
    train, test = (table[table["split"] == part] for part in ("train", "test"))
    return Chosen(train["place"].to_numpy(), train["group"].tolist(), test["place"].to_numpy())


def answers(head: str, pictures: Pictures, given: Chosen, seed: int) -> tuple[np.ndarray, float]:
    """Logits of the images that judge, and what they are divided by."""
    labels = pictures.labels[given.learn]
    if head == KERNEL:
        return kernel(pictures, given, seed)
    name, views = head.split(", ")
    features = pictures.features[: int(views.split()[0]), given.learn]
    examples = Examples(features, labels, pictures.classes, given.groups)
    phase = SolverPhase.model_validate({"name": "probe", "solver": name, "folds": FOLDS})
    solved = SOLVERS[name].solve(examples, phase, seed)
    logits = pictures.features[0, given.judge] @ solved.weight.T + solved.bias
    return logits, fit_temperature(solved.out_of_fold, labels)


def kernel(pictures: Pictures, given: Chosen, seed: int) -> tuple[np.ndarray, float]:
    """Ridge regression on Nystroem's features, by scikit-learn."""
    learn, labels = pictures.features[0, given.learn], pictures.labels[given.learn]
    targets = np.eye(pictures.classes)[labels]
    pairs = folds_of(labels, FOLDS, seed, given.groups)
    tried = []
    for gamma in GAMMAS:
        outside = np.empty((len(PENALTIES), len(labels), pictures.classes))
        for own, other in pairs:
            outside[:, other] = ridges(learn[own], targets[own], learn[other], gamma, PENALTIES)
        for penalty, logits in zip(PENALTIES, outside, strict=True):
            temperature = fit_temperature(logits, labels)
            loss = log_losses(logits, labels, temperature).mean()
            tried.append((loss, gamma, penalty, temperature))
    _, gamma, penalty, temperature = min(tried)
    judged = pictures.features[0, given.judge]
    return ridges(learn, targets, judged, gamma, (penalty,))[0], temperature


def ridges(
    learn: np.ndarray,
    targets: np.ndarray,
    judge: np.ndarray,
    gamma: float,
    penalties: Sequence[float],
) -> np.ndarray:
    """Answers for ``judge`` at each penalty, ``[P, M, C]``."""
    centre = learn.mean(0)
    mapped = Nystroem(gamma=gamma, n_components=min(LANDMARKS, len(learn)), random_state=0)
    rows, judged = (
        mapped.fit_transform(unit(learn - centre)),
        mapped.transform(unit(judge - centre)),
    )
    return np.stack([Ridge(alpha=p).fit(rows, targets).predict(judged) for p in penalties])


def measure(case: Case, head: str, pictures: Pictures, given: Chosen) -> Measured:
    logits, temperature = answers(head, pictures, given, case.seed)
    labels = pictures.labels[given.judge]
    right = "".join("01"[int(r)] for r in logits.argmax(1) == labels)
    loss = float(log_losses(logits, labels, temperature).mean())
    return Measured(case, head, len(given.learn), round(loss, 4), given.judge.tolist(), right)


def read_results() -> list[Measured]:
    path = RESULTS / "heads.json"
    rows = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
    return [Measured(**(row | {"case": Case(**row["case"])})) for row in rows]


def write_results(rows: Sequence[Measured]) -> None:
    told = ",\n".join(json.dumps(asdict(row)) for row in rows)
    (RESULTS / "heads.json").write_text(f"[\n{told}\n]\n", encoding="utf-8")
    (RESULTS / "heads.md").write_text("\n".join([*page(rows), ""]), encoding="utf-8")


def page(rows: Sequence[Measured]) -> Iterator[str]:
    yield f"<!-- {len({row.case.seed for row in rows})} draws of each set and number of images -->"
    yield "Points of test accuracy gained over `lbfgs` on one view, all sets together, with the"
    yield "95 % interval of the paired difference, image by image; the first line is its accuracy."
    yield ""
    yield from _table(rows, _gain)
    yield ""
    yield "Log loss of the calibrated answers, mean over sets and draws:"
    yield ""
    yield from _table(rows, _loss)
    for data in sorted({row.case.data for row in rows}):
        yield ""
        yield f"Accuracy on {data}:"
        yield ""
        yield from _table([row for row in rows if row.case.data == data], _accuracy)


def _table(rows: Sequence[Measured], cell: Callable[[Own, Own], str]) -> Iterator[str]:
    """A line for each head, a column for each number of images."""
    numbers = sorted({row.case.each or ALL for row in rows})
    titles = ["all" if number == ALL else f"{number} a class" for number in numbers]
    yield f"| head | {' | '.join(titles)} |"
    yield "|---|" + "---|" * len(numbers)
    of = {(row.case, row.head): row for row in rows}
    for head in HEADS:
        cells = []
        for number in numbers:
            cases = [case for case, own in of if own == head and (case.each or ALL) == number]
            pairs = [of[case, head] for case in cases], [of[case, BASE] for case in cases]
            cells.append(cell(*pairs) if cases else "–")
        yield f"| {head} | {' | '.join(cells)} |"


def _accuracy(own: Own, _: Own) -> str:
    return f"{np.mean([row.accuracy for row in own]):.3f}"


def _loss(own: Own, _: Own) -> str:
    return f"{np.mean([row.log_loss for row in own]):.3f}"


def _gain(own: Own, base: Own) -> str:
    if own[0].head == BASE:
        return _accuracy(own, base)
    pairs = zip(own, base, strict=True)
    images = differences((one.case.data, (one.correct, other.correct)) for one, other in pairs)
    return "{:+.2f} [{:+.2f}, {:+.2f}]".format(*interval(images))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("datasets", type=Path)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--sets", nargs="*")
    parser.add_argument("--each", type=int, nargs="*", default=[2, 5, 10, 20, 0])
    parser.add_argument("--seeds", type=int, nargs="*", default=[1, 2, 3, 4, 5])
    given = parser.parse_args()
    rows = read_results()
    done = {(row.case, row.head) for row in rows}
    for name in given.sets or sorted(p.name for p in given.datasets.iterdir() if p.is_dir()):
        cases = [Case(name, each or None, None, s) for each in given.each for s in given.seeds]
        if all((case, head) in done for case in cases for head in heads_of(case)):
            continue
        pictures = look(given.datasets / name, given.weights)
        for case in cases:
            own = chosen(given.datasets, case, pictures)
            left = [head for head in heads_of(case) if (case, head) not in done]
            rows += [measure(case, head, pictures, own) for head in left]
            write_results(rows)
            print(f"{case.title}, seed {case.seed}: {len(own.learn)} images", flush=True)
    write_results(rows)
    print((RESULTS / "heads.md").read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
