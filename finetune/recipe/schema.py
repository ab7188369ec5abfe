"""The recipe: the one home of every option.

Each field carries its default and a description with its unit and its consequence. The JSON
schema, the reference page and ``finetune recipes schema`` are made from here. Nothing in this
package loads torch; names that live in a registry (backbones, transforms, optimisers, stages)
are checked by `finetune.api` against that registry before any work starts.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

Fraction = Annotated[float, Field(ge=0.0, lt=1.0)]
Scalar = bool | int | float | str
PhaseName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_.-]{0,31}$")]


class Section(BaseModel):
    """A part of a recipe: immutable, and an unknown key in it is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ModelOptions(Section):
    """What is adapted."""

    backbone: str = Field(
        "resnet50.tv_in1k",
        min_length=1,
        description="A timm model by name, with its weights' tag after the dot. The default's "
        "torchvision v1 weights give better frozen features than newer ones.",
    )
    pretrained: bool = Field(
        True,
        description="Start from pretrained weights. false: random weights, which wants thousands "
        "of images. --weights on the command line stands over this.",
    )
    head: Literal["linear"] = Field(
        "linear", description="What takes the place of the 1000-way classifier."
    )
    dropout: Fraction = Field(
        0.0, description="Share of the head's inputs dropped in training; 0 for small data."
    )
    drop_path: Fraction = Field(
        0.0,
        description="Stochastic depth: share of residual branches dropped in stages that train. "
        "Backbones without residual branches refuse a value above 0.",
    )


class DataOptions(Section):
    """What is learnt from, and how it is divided."""

    val: Fraction = Field(
        0.15,
        description="Share of the images that choices are made on, where DATA brings no such part.",
    )
    test: Fraction = Field(
        0.15, description="Share of the images scored once, where DATA brings no such part."
    )
    stratify: bool = Field(True, description="Give every class the same shares.")
    on_bad_image: Literal["quarantine", "error"] = Field(
        "quarantine",
        description="A file that can't be read: set aside by name, or end the run.",
    )
    max_pixels: int = Field(
        89_478_485,
        ge=1,
        description="Images of more pixels are not opened (a decompression bomb would fill the "
        "memory); the default is Pillow's own limit, about 89 megapixels.",
    )
    workers: Literal["auto"] | Annotated[int, Field(ge=0, le=64)] = Field(
        "auto",
        description="Processes that read and augment images. auto: one a core beyond the first, "
        "4 at most. No number changes a result.",
    )

    @model_validator(mode="after")
    def _leave_something_to_learn_from(self) -> DataOptions:
        if self.val + self.test >= 0.9:
            raise ValueError(f"val + test is {self.val + self.test:g}; keep it under 0.9")
        return self


class InputOptions(Section):
    """How an image becomes the network's input."""

    size: Literal["auto"] | Annotated[int, Field(ge=16, le=2048)] = Field(
        "auto",
        description="Side of the square input in pixels. auto: what the weights were trained "
        "for. Half the size takes a quarter of the time.",
    )
    fit: Literal["crop", "squash", "letterbox"] = Field(
        "crop",
        description="How a picture fits the square: cut its longer side (crop), change its "
        "shape (squash), or add bars (letterbox: nothing is lost, details get smaller).",
    )


class TransformOptions(Section):
    """One registered albumentations transform with its arguments."""

    name: str = Field(min_length=1, description="Name of a registered transform.")
    p: Annotated[float, Field(ge=0.0, le=1.0)] = Field(
        0.5, description="Chance that it is applied to an image."
    )
    args: dict[str, Scalar | list[Scalar] | list[list[Scalar]] | None] = Field(
        default_factory=dict, description="The transform's own arguments."
    )


class AugmentOptions(Section):
    """How training images are varied; validation and test images never are."""

    policy: Literal["none", "light", "medium", "heavy"] = Field(
        "light",
        description="none: as in validation. light: random crop and mirror. medium: colour and "
        "small rotations too. heavy: more of both, blur and erased patches; for long training.",
    )
    transforms: list[TransformOptions] | None = Field(
        None, max_length=32, description="An explicit list, in order, in place of the policy."
    )


class OptimizerOptions(Section):
    """How weights follow gradients."""

    name: str = Field("adamw", min_length=1, description="adamw, sgd, or any timm optimiser.")
    lr: Annotated[float, Field(gt=0.0, le=100.0)] = Field(
        3.0e-4, description="Peak learning rate of the head, as used: never rescaled."
    )
    weight_decay: Annotated[float, Field(ge=0.0, le=10.0)] = Field(
        0.05, description="Pull of the weights to zero; norms and biases are left out."
    )
    momentum: Annotated[float, Field(ge=0.0, lt=1.0)] | None = Field(
        None, description="SGD's momentum (0.9 when not given); other optimisers refuse it."
    )
    nesterov: bool = Field(False, description="Nesterov's momentum, with SGD.")
    args: dict[str, Scalar | list[Scalar]] = Field(
        default_factory=dict, description="Further arguments of the optimiser by name."
    )


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
        return self


class EarlyStoppingOptions(Section):
    """Stop a phase that no longer gains; its best epoch's weights are restored."""

    monitor: Literal["val_log_loss", "val_accuracy", "val_balanced_accuracy"] = Field(
        "val_log_loss", description="The validation score that is watched."
    )
    patience: Annotated[int, Field(ge=1)] = Field(
        5, description="Epochs without a gain after which the phase ends."
    )
    min_delta: Annotated[float, Field(ge=0.0)] = Field(
        0.0, description="A gain of no more than this doesn't count."
    )


class SolverPhase(Section):
    """The head alone, solved as the convex problem that it is: no epochs, no rates."""

    name: PhaseName = Field(description="What logs and tables call this phase.")
    train: Literal["head"] = Field("head", description="A solver trains the head alone.")
    solver: Literal["lbfgs"] = Field(
        "lbfgs",
        description="Regularised multinomial logistic regression on frozen features, the problem "
        "that scikit-learn gives to L-BFGS. Its one solution is found by Newton's method here.",
    )
    l2: Literal["auto"] | Annotated[float, Field(gt=0.0)] = Field(
        "auto",
        description="Strength of the regularisation, relative to the features' mean square. "
        "auto: by cross-validated log loss over a fixed grid.",
    )
    folds: Annotated[int, Field(ge=2, le=20)] = Field(
        5, description="Folds of that cross-validation."
    )


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
    label_smoothing: Fraction = Field(
        0.0,
        description="Share of each label spread over all classes; helps accuracy, hurts "
        "raw probabilities.",
    )
    early_stopping: EarlyStoppingOptions | None = Field(
        None, description="null: train to the end and keep the last weights."
    )
    augment: AugmentOptions | None = Field(None, description="null: the recipe's own augmentation.")

    @model_validator(mode="after")
    def _one_length(self) -> GradientPhase:
        if (self.epochs is None) == (self.steps is None):
            raise ValueError("give epochs or steps, one of them (set the other to null)")
        return self


def _phase_kind(value: Any) -> str:
    if isinstance(value, dict):
        return "solver" if "solver" in value else "gradient"
    return "solver" if isinstance(value, SolverPhase) else "gradient"


Phase = Annotated[
    Annotated[SolverPhase, Tag("solver")] | Annotated[GradientPhase, Tag("gradient")],
    Discriminator(_phase_kind),
]


class EvaluateOptions(Section):
    """How the scores are made."""

    confidence: Annotated[float, Field(ge=0.5, lt=1.0)] = Field(
        0.95, description="Coverage of every interval."
    )
    bootstrap: Annotated[int, Field(ge=100, le=100_000)] = Field(
        1000, description="Resamplings behind the intervals that have no closed form."
    )
    calibrate: Literal["temperature", "none"] = Field(
        "temperature",
        description="Divide the logits by one number, fitted where the score does not look, so "
        "that a confidence of 0.9 is right nine times in ten.",
    )


class Recipe(Section):
    """All that is needed, beside DATA and weights, to repeat a training."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$", description="Its name.")
    model: ModelOptions = Field(
        default_factory=lambda: ModelOptions.model_validate({}), description="What is adapted."
    )
    data: DataOptions = Field(
        default_factory=lambda: DataOptions.model_validate({}),
        description="What is learnt from, and how it is divided.",
    )
    input: InputOptions = Field(
        default_factory=lambda: InputOptions.model_validate({}),
        description="How an image becomes the network's input.",
    )
    augment: AugmentOptions = Field(
        default_factory=lambda: AugmentOptions.model_validate({}),
        description="How training images are varied.",
    )
    phases: list[Phase] = Field(
        min_length=1, max_length=32, description="The schedule: what trains, one after another."
    )
    keep: Literal["best", "last"] = Field(
        "best",
        description="Whose weights are kept. best: a later phase's only if its validation log "
        "loss is better by more than one standard error. last: the last phase's in any case.",
    )
    judge_folds: Annotated[int, Field(ge=2, le=10)] = Field(
        3,
        description="With under 200 validation images, the choice between phases is made "
        "out-of-fold: the training images are cut into this many folds, and phases are tried on "
        "as many as it takes to judge 200 images.",
    )
    refit: Literal["auto", "never"] = Field(
        "auto",
        description="auto: a solved head is solved again on training and validation images once "
        "every choice is made, if nothing was fitted on the validation images.",
    )
    evaluate: EvaluateOptions = Field(
        default_factory=lambda: EvaluateOptions.model_validate({}),
        description="How the scores are made.",
    )
    seed: Annotated[int, Field(ge=0, lt=2**63)] = Field(
        1, description="All randomness is a function of this number."
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        description="Arithmetic of gradient phases. auto: bfloat16 where the processor has it "
        "natively, float32 otherwise. Scoring and prediction are in float32.",
    )

    @model_validator(mode="after")
    def _phase_names_differ(self) -> Recipe:
        names = [phase.name for phase in self.phases]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(f"phases: two are named {', '.join(repeated)}")
        return self
