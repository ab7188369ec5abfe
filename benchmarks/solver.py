"""How long the convex head takes, beside scikit-learn's LogisticRegressionCV on the same folds.

    python benchmarks/solver.py [--images 400] [--features 2048] [--classes 10]
    python benchmarks/solver.py --npz features.npz     # arrays X [N, D] and y [N]

Both search the same strengths by cross-validated log loss; scikit-learn is given all of them,
`solve_head` stops where gains end. The accuracies are those of cross-validation at the chosen
strength. scikit-learn's features are centred and divided by one number, as ours are.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from pathlib import Path

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from sklearn.model_selection import cross_val_predict

from finetune.training.folds import stratified_folds
from finetune.training.solver import solve_head
from finetune.training.strength import GRID

FOLDS, SEED = 5, 1


def synthetic(images: int, width: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Features as an average pool gives them: not negative, skewed, and much alike.

    A few hundred directions carry most of the variance and each class is a shift in some of them.
    """
    generator = np.random.default_rng(0)
    labels = np.arange(images) % classes
    hidden = (
        generator.normal(size=(images, 256)) + 0.35 * generator.normal(size=(classes, 256))[labels]
    )
    mixing = generator.normal(size=(256, width)) * np.geomspace(1, 0.05, 256)[:, None]
    noise = 0.3 * generator.normal(size=(images, width))
    return np.maximum(0, hidden @ mixing / 4 + noise).astype(np.float32), labels


def ours(features: np.ndarray, labels: np.ndarray) -> tuple[float, float, float]:
    head = solve_head(features, labels, int(labels.max()) + 1, l2="auto", folds=FOLDS, seed=SEED)
    return head.cv_log_loss, float((head.out_of_fold.argmax(1) == labels).mean()), head.chosen


def theirs(features: np.ndarray, labels: np.ndarray) -> tuple[float, float, float]:
    centred = features - features.mean(0, dtype=np.float64)
    scaled = centred / np.sqrt(np.square(centred).sum(1).mean())
    folds = stratified_folds(labels, FOLDS, SEED)
    search = LogisticRegressionCV(
        Cs=[1 / (l2 * len(labels) * (1 - 1 / FOLDS)) for l2 in GRID],
        cv=folds,
        scoring="neg_log_loss",
        max_iter=1000,
        refit=True,
        l1_ratios=(0.0,),
        use_legacy_attributes=False,
    ).fit(scaled, labels)
    strength = float(np.ravel(search.C_)[0])
    tuned = LogisticRegression(C=strength, max_iter=1000)
    shares = cross_val_predict(tuned, scaled, labels, cv=folds, method="predict_proba")
    own = shares[np.arange(len(labels)), labels]
    l2 = 1 / (strength * len(labels) * (1 - 1 / FOLDS))
    return float(-np.log(own).mean()), float((shares.argmax(1) == labels).mean()), l2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=400)
    parser.add_argument("--features", type=int, default=2048)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--npz", type=Path)
    parser.add_argument("--without-sklearn", action="store_true", help="it can take minutes")
    options = parser.parse_args()
    if options.npz:
        stored = np.load(options.npz)
        features, labels = stored["X"], stored["y"]
    else:
        features, labels = synthetic(options.images, options.features, options.classes)
    warnings.simplefilter("ignore", ConvergenceWarning)
    n, width = features.shape
    print(f"{n} images, {width} features, {labels.max() + 1} classes, {os.cpu_count()} cores")
    methods = {"solve_head": ours} | ({} if options.without_sklearn else {"scikit-learn": theirs})
    for name, method in methods.items():
        wall, processor = time.perf_counter(), time.process_time()
        log_loss, accuracy, l2 = method(features, labels)
        wall, processor = time.perf_counter() - wall, time.process_time() - processor
        print(
            f"{name:13} {wall:8.2f} s ({processor:.2f} s of processor)   log loss {log_loss:.4f}   "
            f"accuracy {accuracy:.4f}   l2 {l2:.1e}"
        )


if __name__ == "__main__":
    main()
