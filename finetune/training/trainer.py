"""Lightning's trainer, with all that is done here turned off in it."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.plugins.environments import LightningEnvironment
from lightning.pytorch.utilities.warnings import PossibleUserWarning

_KINDS = {"cpu": "cpu", "cuda": "gpu", "mps": "mps"}
_NOTICING = ("lightning.pytorch", "lightning.pytorch.utilities.rank_zero", "lightning.fabric")


def trainer_for(device: torch.device, callbacks: list[object]) -> Trainer:
    """A trainer that goes through epochs until it is told to stop."""
    return Trainer(
        accelerator=_KINDS[device.type],
        devices=1,
        precision="32-true",
        max_epochs=-1,
        callbacks=callbacks,
        plugins=[LightningEnvironment()],  # under SLURM it would take signals for its own
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
    )


@contextmanager
def quiet() -> Iterator[None]:
    """Lightning's notices about hardware and loaders go; its other warnings and errors stay."""
    loggers = [logging.getLogger(name) for name in _NOTICING]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PossibleUserWarning)
        # Lightning 2.6 asks torch's pytrees in a way that torch 2.13 and later deprecate.
        warnings.filterwarnings("ignore", message=".*treespec.*LeafSpec.*")
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
