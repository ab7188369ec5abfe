"""What people call the scores; loads nothing, so that the command line starts fast."""

from __future__ import annotations

SCORE_NAMES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro F1",
    "roc_auc": "ROC AUC",
    "average_precision": "average precision",
    "log_loss": "log loss",
    "brier": "Brier score",
    "ece": "calibration error (ECE)",
}
"""The scores of ``metrics.json`` that are shown, and what people call them."""
