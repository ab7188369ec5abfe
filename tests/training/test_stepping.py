"""A step's gradient is the mean over its images, however they come."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
import timm
import torch
from torch import nn

from finetune.data.input_spec import InputSpec
from finetune.data.loaders import Batch
from finetune.errors import DeviceError
from finetune.model.device import is_out_of_memory
from finetune.model.normalise import normalise
from finetune.recipe.schema import GradientPhase
from finetune.training.criterion import Criterion
from finetune.training.freeze import FreezePlan
from finetune.training.length import step_images
from finetune.training.passage import Forward, Pass
from finetune.training.stepping import Stepper
from finetune.training.trainee import Trainee

SPEC = InputSpec(size=32)
CPU = torch.device("cpu")
LACKING = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory"),
    RuntimeError("could not create a primitive"),
    MemoryError(),
]


def phase_of(**options: object) -> GradientPhase:
    return GradientPhase.model_validate(
        {"name": "tune", "train": "all", "epochs": 1, "batch_size": 8} | options
    )


def network(phase: GradientPhase, name: str = "test_resnet") -> tuple[nn.Module, FreezePlan]:
    torch.manual_seed(0)
    model = timm.create_model(name, num_classes=3)
    plan = FreezePlan.of(model, phase.train, phase.batch_norm)
    plan.apply(model)
    return model, plan


class Cramped:
    """A network whose memory has room for so many images at once."""

    def __init__(self, forward: Pass, room: int, error: Exception, *, late: bool) -> None:
        self.forward, self.room, self.error, self.late = forward, room, error, late
        self.passed: list[int] = []

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        self.passed.append(len(images))
        logits = self.forward(images)
        if len(images) <= self.room:
            return logits
        if not self.late:
            raise self.error
        logits.register_hook(self._full)  # in the backward pass, with some gradients added
        return logits

    def _full(self, _: torch.Tensor) -> None:
        raise self.error


def stepper_of(
    phase: GradientPhase,
    told: Callable[[str], None] = lambda _: None,
    wrap: Callable[[Pass], Pass] = lambda leave: leave,
    name: str = "test_resnet",
    number_format: str = "float32",
) -> tuple[nn.Module, Stepper]:
    model, plan = network(phase, name)
    forward = Forward(lambda images: normalise(images, SPEC, CPU), wrap(model))
    return model, Stepper(
        Trainee(model, plan, phase, 0),
        forward,
        Criterion.of(phase, np.ones(3), CPU),
        CPU,
        number_format,
        lambda _: 1.0,
        "Take less.",
        told,
    )


def batches(*sizes: int) -> list[Batch]:
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (sum(sizes), 32, 32, 3), dtype=torch.uint8, generator=generator)
    labels = torch.arange(sum(sizes)) % 3
    indices = torch.arange(sum(sizes))
    cut = (images.split(sizes), labels.split(sizes), indices.split(sizes), sizes)
    return [Batch(i, lab, ind, ("",) * size) for i, lab, ind, size in zip(*cut, strict=True)]


def gradients(stepper: Stepper, model: nn.Module, *sizes: int) -> dict[str, torch.Tensor]:
    for number, batch in enumerate(batches(*sizes)):
        stepper.add(batch, sum(sizes), 1, number)
    return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


def same(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> None:
    assert ours.keys() == theirs.keys()
    assert any(float(gradient.abs().max()) > 1e-3 for gradient in theirs.values())
    for name, gradient in theirs.items():
        assert torch.allclose(ours[name], gradient, rtol=1e-3, atol=1e-5), name


@pytest.mark.parametrize("sizes", [(4, 4), (4, 3), (4, 4, 2), (2, 5)])
def test_batches_of_a_step_make_the_gradient_of_one(sizes: tuple[int, ...]) -> None:
    one, added = (stepper_of(phase_of(label_smoothing=0.1)) for _ in range(2))
    whole = gradients(one[1], one[0], sum(sizes))
    same(gradients(added[1], added[0], *sizes), whole)


def test_the_gradient_is_that_of_the_mean_loss() -> None:
    model, stepper = stepper_of(phase_of())
    (batch,) = batches(8)
    loss = nn.functional.cross_entropy(stepper.pass_through(batch.images), batch.labels)
    loss.backward()
    theirs = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
    other, ours = stepper_of(phase_of())
    assert float(ours.add(batch, 8, 1)) == pytest.approx(8 * loss.item(), rel=1e-5)
    same({n: p.grad for n, p in other.named_parameters() if p.grad is not None}, theirs)


@pytest.mark.parametrize("options", [{"mixup": 0.5}, {"cutmix": 1.0}, {"mixup": 1, "cutmix": 1}])
def test_a_mixed_batch_in_parts_makes_the_same_gradient(options: dict[str, object]) -> None:
    plain = stepper_of(phase_of())
    one, parts = (stepper_of(phase_of(**options)) for _ in range(2))
    parts[1].most = 3
    whole = gradients(one[1], one[0], 8)
    same(gradients(parts[1], parts[0], 8), whole)
    unmixed = gradients(plain[1], plain[0], 8)
    assert any(not torch.allclose(whole[n], unmixed[n], rtol=1e-2, atol=1e-4) for n in whole)


@pytest.mark.parametrize("accumulate", [1, 2, 3])
@pytest.mark.parametrize("images", [1, 4, 5, 8, 9, 11, 12, 13, 30])
def test_the_images_of_all_steps_are_those_of_the_epoch(images: int, accumulate: int) -> None:
    from finetune.data.batches import TrainBatches

    phase = phase_of(batch_size=4, accumulate=accumulate)
    sizes = [len(batch) for batch in TrainBatches(images, 4, 1, 0, 0)]
    for batch in range(len(sizes)):
        first = batch // accumulate * accumulate
        assert step_images(phase, images, batch) == sum(sizes[first : first + accumulate])


@pytest.mark.parametrize("options", [{}, {"optimizer": {"name": "sgd", "lr": 0.1}}])
def test_a_fused_step_is_the_plain_one(options: dict[str, object]) -> None:
    fused = stepper_of(phase_of(**options))
    optimizer = dict(options.get("optimizer", {})) | {"args": {"foreach": False}}
    plain = stepper_of(phase_of(**(options | {"optimizer": optimizer})))
    assert all(group["fused"] for group in fused[1].optimizer.param_groups)
    assert not any(group["fused"] for group in plain[1].optimizer.param_groups)
    before = [p.detach().clone() for p in fused[0].parameters()]
    for model, stepper in (fused, plain):
        for number in range(3):
            gradients(stepper, model, 4, 4)
            stepper.step(number)
    assert not all(map(torch.equal, before, fused[0].parameters()))
    for ours, theirs in zip(fused[0].parameters(), plain[0].parameters(), strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_a_step_clips_the_gradient_and_follows_the_schedule() -> None:
    options = {"optimizer": {"name": "sgd", "lr": 0.5, "momentum": 0.0, "weight_decay": 0.0}}
    model, stepper = stepper_of(phase_of(clip_norm=0.25, **options))
    stepper.factor = lambda step: 0.1 * (step + 1)
    before = torch.cat([p.detach().flatten() for p in model.parameters()])
    gradients(stepper, model, 8)
    stepper.step(1)
    after = torch.cat([p.detach().flatten() for p in model.parameters()])
    assert float((after - before).norm()) == pytest.approx(0.5 * 0.2 * 0.25, rel=1e-3)


@pytest.mark.parametrize("error", LACKING, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("late", [False, True], ids=["forward", "backward"])
def test_a_batch_that_does_not_fit_is_passed_in_parts(error: Exception, late: bool) -> None:
    roomy = stepper_of(phase_of())
    whole = gradients(roomy[1], roomy[0], 8, 7)
    told: list[str] = []
    tried: list[Cramped] = []

    def cramped(forward: Pass) -> Pass:
        tried.append(Cramped(forward, 3, error, late=late))
        return tried[0]

    model, stepper = stepper_of(phase_of(), told.append, cramped)
    same(gradients(stepper, model, 8, 7), whole)
    assert told == [
        "phase tune: a batch of 8 doesn't fit the memory; from now on it is passed in 2 parts of 4",
        "phase tune: a batch of 8 doesn't fit the memory; from now on it is passed in 4 parts of 2",
    ]
    assert tried[0].passed == [8, 4, 2, 2, 2, 2, 2, 2, 2, 1]
    assert [len(part) for part in stepper.split(torch.zeros(8, 3))] == [2, 2, 2, 2]


def test_what_a_failed_attempt_did_is_undone() -> None:
    """Gradients of the step's earlier batches stay, statistics of BatchNorm go back."""
    phase, told = phase_of(batch_norm="train", batch_size=4), list[str]()
    outcomes = []
    for room in (100, 2):
        model, stepper = stepper_of(
            phase, told.append, lambda f, r=room: Cramped(f, r, MemoryError(), late=True)
        )
        if room == 100:
            stepper.most = 2
        outcomes.append((gradients(stepper, model, 4, 4), dict(model.named_buffers())))
    same(outcomes[1][0], outcomes[0][0])
    for name, buffer in outcomes[0][1].items():
        assert torch.equal(outcomes[1][1][name], buffer), name
    assert len(told) == 1
    assert "2 parts of 2, and BatchNorm learns from each part" in told[0]


@pytest.mark.parametrize(("norm", "smallest"), [("frozen", 1), ("train", 2)])
def test_where_not_one_image_fits_the_user_is_told(norm: str, smallest: int) -> None:
    tried: list[Cramped] = []

    def cramped(forward: Pass) -> Pass:
        tried.append(Cramped(forward, 0, LACKING[0], late=False))
        return tried[0]

    model, stepper = stepper_of(phase_of(batch_norm=norm), wrap=cramped)
    with pytest.raises(DeviceError, match=r"CUDA out of memory\nTake less\."):
        gradients(stepper, model, 8)
    assert min(tried[0].passed) == smallest


def test_in_bfloat16_a_strided_depthwise_convolution_stays_in_float32() -> None:
    model, stepper = stepper_of(phase_of(), name="test_efficientnet", number_format="bfloat16")
    seen = []
    for layer in ("conv_pw", "conv_dw"):
        model.get_submodule(f"blocks.3.0.{layer}").register_forward_hook(
            lambda _layer, _images, given: seen.append((given.dtype, given.grad_fn.name()))
        )
    gradients(stepper, model, 4)
    assert seen == [
        (torch.bfloat16, "ConvolutionBackward0"),
        (torch.bfloat16, "ToCopyBackward0"),  # as float32 gave it
    ]


SHORT = """
import resource, sys
from pathlib import Path
import timm, torch
from finetune.data.input_spec import InputSpec
from finetune.data.loaders import Batch
from finetune.memory import keep_freed_memory
from finetune.model.normalise import normalise
from finetune.recipe.schema import GradientPhase
from finetune.training.criterion import Criterion
from finetune.training.passage import Forward
from finetune.training.stepping import Stepper
from finetune.training.trainee import Trainee
keep_freed_memory()
phase = GradientPhase.model_validate({"name": "p", "train": "all", "epochs": 1, "batch_size": 64})
model = timm.create_model("resnet18", num_classes=10)
cpu = torch.device("cpu")
forward = Forward(lambda images: normalise(images, InputSpec(size=160), cpu), model)
plain = Criterion(None, None, 0.0)
trainee = Trainee.of(model, phase, 0)
stepper = Stepper(trainee, forward, plain, cpu, "float32", lambda _: 1.0, "", print)
images = torch.zeros(64, 160, 160, 3, dtype=torch.uint8)
batch = Batch(images, torch.arange(64) % 10, torch.arange(64), ("",) * 64)
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 600 * 2**20, -1))
stepper.add(batch, 64, 1)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits its address space")
def test_a_machine_that_is_short_of_memory_passes_a_batch_in_parts() -> None:
    """For real: what the CPU's libraries say, and freed memory that they can have again."""
    command = [sys.executable, "-c", SHORT]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "a batch of 64 doesn't fit the memory; from now on it is passed in 2 parts" in shown


def test_other_errors_are_not_about_memory() -> None:
    assert not is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    assert not is_out_of_memory(ValueError("out of memory"))
    model, stepper = stepper_of(
        phase_of(), wrap=lambda f: Cramped(f, 0, RuntimeError("shapes"), late=False)
    )
    with pytest.raises(RuntimeError, match="shapes"):
        gradients(stepper, model, 8)
