"""The recipe: the one home of every option.

Each field carries its default and a description with its unit and its consequence. The JSON
schema, the reference page and ``finetune recipes schema`` are made from here. Nothing in this
package loads torch; names that live in a registry (backbones, transforms, optimisers, stages)
are checked by `finetune.api` against that registry before any work starts.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from finetune.recipe.phase_options import (
    EarlyStoppingOptions,
    EmaOptions,
    LossOptions,
    OptimizerOptions,
    RaceOptions,
    ScheduleOptions,
    SolverLossOptions,
    SwaOptions,
)
from finetune.recipe.phases import GradientPhase, Phase, SolverPhase
from finetune.recipe.sections import (
    AugmentOptions,
    CheckpointOptions,
    DataOptions,
    GroupOptions,
    InputOptions,
    ModelOptions,
    Section,
    StoreOptions,
    TransformOptions,
)

__all__ = [
    "AugmentOptions",
    "CheckpointOptions",
    "DataOptions",
    "EarlyStoppingOptions",
    "EmaOptions",
    "EvaluateOptions",
    "GradientPhase",
    "GroupOptions",
    "InputOptions",
    "LossOptions",
    "ModelOptions",
    "OptimizerOptions",
    "Phase",
    "RaceOptions",
    "Recipe",
    "ScheduleOptions",
    "SolverLossOptions",
    "SolverPhase",
    "StoreOptions",
    "SwaOptions",
    "TransformOptions",
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
    logit_adjustment: Annotated[float, Field(ge=0.0, le=4.0)] = Field(
        0.0,
        description="tau of Menon et al. 2021, after training: of each calibrated logit, tau times "
        "the logarithm of its class's share of the training images is subtracted. 1: answers as "
        "if classes were equally common. It is part of the classifier that is shipped.",
    )
    precision: Annotated[float, Field(ge=0.5, lt=1.0)] | None = Field(
        None,
        description="Share of each class's answers that shall be right where `predict --abstain` "
        "answers: a confidence threshold for each class, shown at `confidence`. null: none.",
    )
    coverage: Annotated[float, Field(ge=0.5, lt=1.0)] | None = Field(
        0.9,
        description="How often the set of the classes that are possible holds the true one; "
        "`predict --abstain` answers where one class is in it. null: no sets.",
    )
    unlike: Annotated[float, Field(ge=0.5, lt=1.0)] | None = Field(
        0.99,
        description="Share of ordinary pictures that pass as like the training images; "
        "`predict --abstain` answers no others. null: every picture passes.",
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
    store: StoreOptions = Field(
        default_factory=lambda: StoreOptions.model_validate({}),
        description="What is kept of frozen networks' outputs.",
    )
    checkpoint: CheckpointOptions = Field(
        default_factory=lambda: CheckpointOptions.model_validate({}),
        description="How often the phase under way is kept, to go on with after an interruption.",
    )
    phases: list[Phase] = Field(
        min_length=1, max_length=32, description="The schedule: what trains, one after another."
    )
    keep: Literal["best", "last"] = Field(
        "best",
        description="Whose weights are kept. best: a later phase's only if its validation log "
        "loss is better by more than one standard error (1.65 and more on fewer than 200 images). "
        "last: the last phase's in any case.",
    )
    judge_by: Literal["auto", "log_loss", "balanced_log_loss"] = Field(
        "auto",
        description="The score by which `keep: best` compares phases. balanced_log_loss: its mean "
        "over classes, so that rare ones count as much. auto: that, where a phase makes rare "
        "classes count more; else log_loss.",
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
        "natively (on a CPU not for depthwise convolutions that it slows down), else float32. "
        "Features and predictions follow, where bfloat16 changes them little; else "
        "they are in float32, and it is told.",
    )

    compile: bool = Field(
        False,
        description="Compile what trains by gradient (torch.compile): a minute or more at the "
        "start of each phase, then faster steps, on a GPU above all. Wants a C++ compiler.",
    )
    track: list[Literal["tensorboard", "mlflow", "wandb"]] = Field(
        ["tensorboard"],
        description="Who follows the training, by name: parameters, curves, scores, and the run "
        "directory. The extras mlflow and wandb bring the other two. Where they send it is the "
        "environment's to say; as it comes, no host is asked. []: nobody.",
    )

    @field_validator("track")
    @classmethod
    def _trackers_differ(cls, track: list[str]) -> list[str]:
        if len(set(track)) < len(track):
            raise ValueError("names a tracker twice")
        return track

    @model_validator(mode="after")
    def _phase_names_differ(self) -> Recipe:
        names = [phase.name for phase in self.phases]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(f"phases: two are named {', '.join(repeated)}")
        return self

    @model_validator(mode="after")
    def _adjusted_once(self) -> Recipe:
        balanced = [f"{phase.name}.{key}" for phase in self.phases for key in phase.balanced_by]
        if self.evaluate.logit_adjustment and balanced:
            raise ValueError(
                f"evaluate.logit_adjustment and phases.{balanced[0]} each make rare classes count "
                "more; give one of them"
            )
        return self

    @property
    def judged_balanced(self) -> bool:
        """Whether phases are compared by a score in which all classes count equally."""
        if self.judge_by == "auto":
            return any(phase.balanced_by for phase in self.phases)
        return self.judge_by == "balanced_log_loss"
