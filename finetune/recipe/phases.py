"""The phases of a recipe: what trains, how, and for how long."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from finetune.recipe.phase_options import (
    EarlyStoppingOptions,
    EmaOptions,
    LossOptions,
    OptimizerOptions,
    ScheduleOptions,
    SolverLossOptions,
    SwaOptions,
)
from finetune.recipe.sections import AugmentOptions, Fraction, Section

PhaseName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_.-]{0,31}$")]


class SolverPhase(Section):
    """The head alone, solved on frozen features: no epochs, no rates."""

    name: PhaseName = Field(description="What logs and tables call this phase.")
    train: Literal["head"] = Field("head", description="A solver trains the head alone.")
    solver: Literal["lbfgs", "prototype", "cosine"] = Field(
        "lbfgs",
        description="lbfgs: regularised multinomial logistic regression, the problem that "
        "scikit-learn gives to L-BFGS; its one solution is found by Newton's method here. "
        "prototype: the class to whose mean the angle is least, seen from the mean of all images "
        "(Snell et al. 2017, Wang et al. 2019); classes count alike, however many images they "
        "have. cosine: the regression on such directions, without a bias (Gidaris and Komodakis "
        "2018).",
    )
    l2: Literal["auto"] | Annotated[float, Field(gt=0.0)] = Field(
        "auto",
        description="Strength of the regularisation, relative to the features' mean square. "
        "auto: by cross-validated log loss over a fixed grid. Prototypes have none.",
    )
    folds: Annotated[int, Field(ge=2, le=20)] = Field(
        5, description="Folds of that cross-validation."
    )
    views: Annotated[int, Field(ge=1, le=64)] = Field(
        1,
        description="Views of each image that the head is solved on: the picture as it is scored, "
        "and augmented ones beyond the first. Each passes every image through the network once.",
    )
    loss: SolverLossOptions = Field(
        default_factory=lambda: SolverLossOptions.model_validate({}),
        description="How images count, in the head and in the choice of l2.",
    )

    @model_validator(mode="after")
    def _prototypes_have_less_to_say(self) -> SolverPhase:
        if self.solver == "prototype" and self.l2 != "auto":
            raise ValueError("l2: prototypes have none; remove it")
        if self.solver == "prototype" and self.loss.class_weights != "none":
            raise ValueError("loss: prototypes count all classes alike; remove class_weights")
        return self

    @property
    def balanced_by(self) -> tuple[str, ...]:
        """The options that make rare classes count more."""
        if self.solver == "prototype":
            return ("solver",)
        return ("loss.class_weights",) if self.loss.class_weights != "none" else ()


class GradientPhase(Section):
    """Some stages, trained by gradient descent for a number of epochs or steps."""

    name: PhaseName = Field(description="What logs and tables call this phase.")
    train: str = Field(
        min_length=1,
        description="head; last_N (the head and the last N stages of any backbone); a stage by "
        "name, with everything after it; or all.",
    )
    epochs: Annotated[int, Field(ge=1, le=100_000)] | None = Field(
        None, description="Passes over the training images. Give this or steps."
    )
    steps: Annotated[int, Field(ge=1)] | None = Field(
        None, description="Optimiser steps, in place of epochs."
    )
    batch_size: Annotated[int, Field(ge=1, le=65_536)] = Field(
        32, description="Images for one gradient; the last, smaller batch of an epoch is used too."
    )
    accumulate: Annotated[int, Field(ge=1, le=4096)] = Field(
        1, description="Batches summed for one optimiser step: larger batches in the same memory."
    )
    optimizer: OptimizerOptions = Field(
        default_factory=lambda: OptimizerOptions.model_validate({}),
        description="How weights follow gradients.",
    )
    lr_decay: Annotated[float, Field(gt=0.0, le=1.0)] = Field(
        1.0,
        description="Each stage's rate as a factor of the rate of the stage after it, from the "
        "head down; 1: the same rate everywhere.",
    )
    lr_schedule: ScheduleOptions = Field(
        default_factory=lambda: ScheduleOptions.model_validate({}),
        description="The rate over the phase.",
    )
    batch_norm: Literal["train", "frozen", "locked"] = Field(
        "frozen",
        description="BatchNorm of stages that train. train: as usual, wants batches of 32 or "
        "more. frozen: statistics fixed, scale and shift learn. locked: all fixed.",
    )
    clip_norm: Annotated[float, Field(gt=0.0)] | None = Field(
        1.0, description="Largest norm of the gradient; longer ones are shortened. null: none."
    )
    loss: LossOptions = Field(
        default_factory=lambda: LossOptions.model_validate({}),
        description="What is brought down, and how images count in it.",
    )
    label_smoothing: Fraction = Field(
        0.0,
        description="Share of each label spread over all classes; helps accuracy, hurts "
        "raw probabilities (Szegedy et al. 2016).",
    )
    sampling: Literal["natural", "balanced"] = Field(
        "natural",
        description="Which images an epoch shows. natural: each once. balanced: as many of each "
        "class; those of rare classes come again in other views, and not all of common ones come.",
    )
    epoch_images: Annotated[int, Field(ge=1)] | None = Field(
        None,
        description="Images that an epoch of balanced sampling shows. null: as many as there are.",
    )
    mixup: Annotated[float, Field(ge=0.0, le=10.0)] = Field(
        0.0,
        description="alpha of Zhang et al. 2018: each picture is blended with another of its "
        "batch, and their labels with them, by a share drawn from Beta(alpha, alpha); 0.2 is "
        "mild, 1 strong. Where stages are frozen, what they give is blended. 0: none.",
    )
    cutmix: Annotated[float, Field(ge=0.0, le=10.0)] = Field(
        0.0,
        description="alpha of Yun et al. 2019: a box of another picture is pasted in, of a share "
        "of the area drawn from Beta(alpha, alpha); 1 is usual. Wants train: all. With mixup, each "
        "batch has one of the two. 0: none.",
    )
    l2_sp: Annotated[float, Field(ge=0.0, le=10.0)] = Field(
        0.0,
        description="Pull of the backbone's weights to where they were when pretrained (Li et al. "
        "2018): l2_sp / 2 times their squared distance is added to the loss. It takes the place of "
        "weight_decay in stages of the backbone that train, and holds their norms and biases too; "
        "the head keeps its weight_decay. 0.01 is usual. 0: none.",
    )
    co_tuning: Annotated[float, Field(ge=0.0, le=100.0)] = Field(
        0.0,
        description="Co-Tuning (You et al. 2020): while the phase lasts, the classifier of the "
        "pretraining learns on beside the new one, at the rate of the backbone's last stage; "
        "co_tuning times its cross-entropy to what the pretrained network says of an image's class "
        "in the mean is added to the loss. Wants weights with that classifier. 2.3 is its authors' "
        "choice. 0: none.",
    )
    early_stopping: EarlyStoppingOptions | None = Field(
        None, description="null: train to the end and keep the last weights."
    )
    ema: EmaOptions | None = Field(
        None,
        description="Validate, choose and keep the mean of the weights over the steps (Polyak and "
        "Juditsky 1992), smoother than the last ones. null: the weights themselves.",
    )
    swa: SwaOptions | None = Field(
        None,
        description="Validate and keep the mean of the last epochs' weights (Izmailov et al. "
        "2018); BatchNorm's statistics are computed again where it is train. Not with ema or "
        "early_stopping. null: none.",
    )
    interpolate: bool = Field(
        False,
        description="Mix the weights that the phase ends with and those that it began with "
        "(WiSE-FT, Wortsman et al. 2022), by the share of 0, 0.1, ..., 1 whose log loss on the "
        "validation images is lowest. Passes them 11 times, quickly where stages are frozen, and "
        "where batch_norm is train the training images up to 10 times, for its statistics.",
    )
    augment: AugmentOptions | None = Field(None, description="null: the recipe's own augmentation.")
    size: Annotated[int, Field(ge=16, le=2048)] | None = Field(
        None,
        description="Side in pixels of what this phase learns from and is watched on; it is judged "
        "at input.size, as all is. Half the side takes a quarter of the time. null: input.size.",
    )

    @model_validator(mode="after")
    def _one_length(self) -> GradientPhase:
        if (self.epochs is None) == (self.steps is None):
            raise ValueError("give epochs or steps, one of them (set the other to null)")
        return self

    @model_validator(mode="after")
    def _balanced_once(self) -> GradientPhase:
        if len(self.balanced_by) > 1:
            told = " and ".join(self.balanced_by)
            raise ValueError(f"{told} each make rare classes count more; give one of them")
        if self.epoch_images is not None and self.sampling == "natural":
            raise ValueError("epoch_images: only with sampling: balanced")
        return self

    @model_validator(mode="after")
    def _backbone_trains(self) -> GradientPhase:
        for name in ("l2_sp", "co_tuning"):
            if getattr(self, name) and self.train == "head":
                told = "holds the backbone, of which nothing trains here; remove it"
                raise ValueError(f"{name}: {told}")
        return self

    @model_validator(mode="after")
    def _one_mean(self) -> GradientPhase:
        if self.swa is None:
            return self
        if self.ema is not None:
            raise ValueError("ema and swa: give one of them")
        if self.early_stopping is not None:
            raise ValueError(
                "swa: keeps a mean of the last epochs, early_stopping one epoch; give one of them"
            )
        if self.epochs is not None and self.swa.epochs > self.epochs:
            raise ValueError(f"swa.epochs: the phase has {self.epochs}")
        return self

    def at(self, rate: float) -> GradientPhase:
        """The phase at one peak rate."""
        optimizer = self.optimizer.model_copy(update={"lr": rate})
        return self.model_copy(update={"optimizer": optimizer})

    @property
    def balanced_by(self) -> tuple[str, ...]:
        """The options that make rare classes count more."""
        return tuple(
            name
            for name, given in (
                ("loss.class_weights", self.loss.class_weights != "none"),
                ("loss.logit_adjustment", self.loss.logit_adjustment > 0),
                ("sampling", self.sampling != "natural"),
            )
            if given
        )


def _phase_kind(value: Any) -> str:
    if isinstance(value, dict):
        return "solver" if "solver" in value else "gradient"
    return "solver" if isinstance(value, SolverPhase) else "gradient"


Phase = Annotated[
    Annotated[SolverPhase, Tag("solver")] | Annotated[GradientPhase, Tag("gradient")],
    Discriminator(_phase_kind),
]
