"""What the command line and notebooks call: each function a short list of steps."""

from finetune.api.backbones import backbones, stages
from finetune.api.checking import check
from finetune.api.comparing import compare
from finetune.api.cross_validating import cv
from finetune.api.curving import learning_curve
from finetune.api.finding_rates import lr_find
from finetune.api.planning import Plan
from finetune.api.reporting import report
from finetune.api.suggesting import plan, suggest
from finetune.api.training import resume, train
from finetune.api.using import embed, evaluate, load_run, predict
from finetune.deploy.result import Run

__all__ = [
    "Plan",
    "Run",
    "backbones",
    "check",
    "compare",
    "cv",
    "embed",
    "evaluate",
    "learning_curve",
    "load_run",
    "lr_find",
    "plan",
    "predict",
    "report",
    "resume",
    "stages",
    "suggest",
    "train",
]
