"""The trained network without its head, for what is built on top of it."""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import timm
from torch import nn

from finetune.deploy.bundle import Classifier
from finetune.errors import WeightsError
from finetune.model.fingerprint import digest
from finetune.model.head import classifier_name


def extractor(
    classifier: Classifier, out_indices: Sequence[int] | None, *, features_only: bool
) -> nn.Module:
    """A copy of the network's body, in evaluation mode; it shares no tensor with the network.

    Args:
        classifier: The trained network.
        out_indices: Which of timm's levels to give; None: those that timm gives by default.
        features_only: timm's feature extractor, which gives maps; else the network up to its
            classifier, which gives vectors ``[N, D]``.

    Raises:
        WeightsError: timm has no feature extractor for this network, or not these levels.
    """
    body = _maps(classifier, out_indices) if features_only else _vectors(classifier)
    return body.eval()


def _vectors(classifier: Classifier) -> nn.Module:
    body = copy.deepcopy(classifier.model)
    body.set_submodule(classifier_name(body), nn.Identity())
    return body


def _maps(classifier: Classifier, out_indices: Sequence[int] | None) -> nn.Module:
    config = classifier.config
    options: dict[str, Any] = {} if out_indices is None else {"out_indices": tuple(out_indices)}
    tensors = classifier.model.state_dict()
    # timm gives its extractors other names of tensors, so it has to load them itself.
    weights = {"state_dict": dict(tensors), "num_classes": len(classifier.classes)}
    try:
        with _quiet():
            body: nn.Module = timm.create_model(
                config["architecture"],
                pretrained=True,
                pretrained_cfg_overlay=weights,
                features_only=True,
                **config.get("model_args", {}),
                **options,
            )
    except Exception as error:  # families refuse by RuntimeError, assert, IndexError and others
        raise _refused(config["architecture"], " ".join(str(error).split())[:200]) from error
    _check_loaded(config["architecture"], body, tensors)
    return body


@contextmanager
def _quiet() -> Iterator[None]:
    """No warning of each tensor that an extractor doesn't want; `_check_loaded` knows better."""
    logger = logging.getLogger("timm.models._builder")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _check_loaded(architecture: str, body: nn.Module, tensors: dict[str, Any]) -> None:
    """Every tensor of the extractor is one of the trained network's: timm loads leniently here."""
    trained = {digest([("", value)]) for value in tensors.values()}
    strange = [n for n, value in body.state_dict().items() if digest([("", value)]) not in trained]
    if strange:
        raise _refused(architecture, f"{strange[0]} would not be the trained one")


def _refused(architecture: str, why: str) -> WeightsError:
    return WeightsError(
        f"timm makes no such feature extractor of {architecture}: {why}",
        mend="Ask for other out_indices, or for vectors instead of maps: features_only=False.",
    )
