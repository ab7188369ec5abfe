"""What a phase's own sections hold: optimiser, schedule, loss, stopping, means of weights."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from finetune.recipe.sections import Fraction, Scalar, Section

Rate = Annotated[float, Field(gt=0.0, le=100.0)]


class RaceOptions(Section):
    """Rates that are tried in short trainings, the better half of them in longer ones, and so on.

    What is left trains the phase. All of it costs at most two trainings of the phase.
    """

    race: list[Rate] = Field(
        min_length=2,
        max_length=8,
        description="The peak rates to choose among, rising; a factor of about 3 apart tells them "
        "apart.",
    )

    @model_validator(mode="after")
    def _rates_rise(self) -> RaceOptions:
        if sorted(set(self.race)) != self.race:
            raise ValueError("race: must rise")
        return self


class OptimizerOptions(Section):
    """How weights follow gradients."""

    name: str = Field("adamw", min_length=1, description="adamw, sgd, or any timm optimiser.")
    lr: Rate | RaceOptions = Field(
        3.0e-4,
        description="Peak learning rate of the head, as used: never rescaled. Or race: rates to "
        "choose among on the images themselves.",
    )
    weight_decay: Annotated[float, Field(ge=0.0, le=10.0)] = Field(
        0.05,
        description="Pull of the weights to zero; norms and biases are left out. With l2_sp, of "
        "the head alone.",
    )
    momentum: Annotated[float, Field(ge=0.0, lt=1.0)] | None = Field(
        None,
        description="Of SGD, RMSprop, LARS and LARC (0.9 when not given); others refuse it.",
    )
    nesterov: bool = Field(False, description="Nesterov's momentum, with SGD.")
    args: dict[str, Scalar | list[Scalar]] = Field(
        default_factory=dict, description="Further arguments of the optimiser by name."
    )

    @property
    def raced(self) -> tuple[float, ...]:
        """The rates that race, rising; none where one is given."""
        return tuple(self.lr.race) if isinstance(self.lr, RaceOptions) else ()

    @property
    def peak(self) -> float:
        """The peak rate; before a race, the highest that takes part."""
        return self.lr.race[-1] if isinstance(self.lr, RaceOptions) else self.lr


class ScheduleOptions(Section):
    """The learning rate over a phase, as a factor of its peak: a pure function of the step."""

    name: Literal["constant", "cosine", "one_cycle", "step", "linear"] = Field(
        "cosine", description="Shape of the rate after the warm-up."
    )
    warmup: Fraction = Field(
        0.0, description="Share of the phase over which the rate rises linearly from near zero."
    )
    final: Annotated[float, Field(ge=0.0, le=1.0)] = Field(
        0.0, description="Factor at the end (cosine, linear, one_cycle)."
    )
    milestones: list[Annotated[float, Field(gt=0.0, lt=1.0)]] | None = Field(
        None, description="step: shares of the phase at which the rate falls."
    )
    gamma: Annotated[float, Field(gt=0.0, lt=1.0)] = Field(
        0.1, description="step: what the rate is multiplied by at each milestone."
    )

    @model_validator(mode="after")
    def _milestones_belong_to_step(self) -> ScheduleOptions:
        if (self.name == "step") != (self.milestones is not None):
            raise ValueError(
                "milestones: needed by the step schedule and by no other, e.g. [0.5, 0.75]"
            )
        if self.milestones is not None and sorted(set(self.milestones)) != self.milestones:
            raise ValueError("milestones: must rise")
        if self.final != 0.0 and self.name in ("constant", "step"):
            raise ValueError(f"final: {self.name} has none; remove it")
        if self.gamma != 0.1 and self.name != "step":
            raise ValueError(f"gamma: {self.name} has none; remove it")
        return self


class EarlyStoppingOptions(Section):
    """Stop a phase that no longer gains; its best epoch's weights are restored."""

    monitor: Literal["val_log_loss", "val_accuracy", "val_balanced_accuracy", "val_macro_f1"] = (
        Field(
            "val_log_loss",
            description="The validation score that is watched. val_balanced_accuracy and "
            "val_macro_f1 are means over classes: rare ones count as much as common ones.",
        )
    )
    patience: Annotated[int, Field(ge=1)] = Field(
        5, description="Epochs without a gain after which the phase ends."
    )
    min_delta: Annotated[float, Field(ge=0.0)] = Field(
        0.0, description="A gain of no more than this doesn't count."
    )


ClassWeights = Annotated[
    Literal["none", "sqrt", "balanced"],
    Field(
        description="How much an image's loss counts. balanced: as n / (C * n_c), of n images in C "
        "classes, n_c in its own, so that all classes count equally. sqrt: as the root of that, "
        "half way. Rare classes are found more often, at the price of false alarms."
    ),
]


class SolverLossOptions(Section):
    """What a solved head brings down."""

    class_weights: ClassWeights = "none"


class LossOptions(Section):
    """What a phase by gradient brings down: the cross-entropy, and how it counts images."""

    class_weights: ClassWeights = "none"
    logit_adjustment: Annotated[float, Field(ge=0.0, le=4.0)] = Field(
        0.0,
        description="tau of Menon et al. 2021: while learning, tau times the logarithm of each "
        "class's share of the training images is added to its logit, so that the network itself "
        "learns to answer as if classes were equally common (at 1). 0: none.",
    )


class EmaOptions(Section):
    """The mean of a phase's weights over its steps, later ones counting more."""

    decay: Annotated[float, Field(gt=0.0, lt=1.0)] = Field(
        0.999,
        description="What the mean keeps of itself in a step, at most: after t steps it keeps "
        "(1 + t) / (10 + t), as in TensorFlow, so that it is right for short phases too.",
    )


class SwaOptions(Section):
    """The plain mean of a phase's weights at the ends of its last epochs."""

    epochs: Annotated[int, Field(ge=1)] = Field(
        5,
        description="How many epochs, counted from the phase's end. Their rate should not be near "
        "zero: lr_schedule constant, or final above 0.",
    )
