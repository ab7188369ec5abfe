from __future__ import annotations

import pytest
import timm
import torch
from torch import nn

from finetune.recipe.schema import GradientPhase
from finetune.training.averaging import Average, refresh_statistics
from finetune.training.freeze import FreezePlan


def phase_of(**options: object) -> GradientPhase:
    return GradientPhase.model_validate(
        {"name": "p", "train": "layer4", "epochs": 4, "batch_norm": "train"} | options
    )


def made(phase: GradientPhase) -> tuple[nn.Module, Average, list[int]]:
    torch.manual_seed(0)
    model = timm.create_model("test_resnet", num_classes=3)
    plan = FreezePlan.of(model, phase.train, phase.batch_norm)
    plan.apply(model)
    asked: list[int] = []
    return model, Average(model, plan, phase, 4, asked.append), asked


def move(model: nn.Module, by: float) -> torch.Tensor:
    with torch.no_grad():
        model.fc.bias.add_(by)
    return model.fc.bias.detach().clone()


def test_the_mean_over_steps_forgets_where_it_began() -> None:
    model, average, _ = made(phase_of(ema={"decay": 0.5}))
    expected = model.fc.bias.detach().clone()
    for step in range(1, 20):
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * move(model, 1.0)
        average.after_step()
    own = model.fc.bias.detach().clone()
    with average.shown():
        assert torch.allclose(model.fc.bias, expected)
    assert model.fc.bias.equal(own)


def test_the_mean_of_the_last_epochs_takes_each_in_once() -> None:
    model, average, asked = made(phase_of(swa={"epochs": 2}))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    seen = []
    for epoch in (1, 2, 3, 3, 4, 4):  # resumed at an epoch's end, it comes again
        seen.append(move(model, 1.0) if epoch != len(seen) else model.fc.bias.detach().clone())
        seen = seen[:epoch]
        average.after_epoch(epoch)
        average.after_step()
    average.settle()
    average.settle()
    assert torch.allclose(model.fc.bias, (seen[2] + seen[3]) / 2)
    assert asked == [3]  # the last epoch, once
    frozen = [name for name, _ in average.plan.frozen_tensors(model)]
    assert frozen
    assert all(model.state_dict()[name].equal(before[name]) for name in frozen)
    assert not set(frozen) & set(average.tensors)


def test_nothing_is_shown_before_it_has_begun() -> None:
    model, average, _ = made(phase_of(swa={"epochs": 1}))
    own = move(model, 2.0)
    average.after_epoch(2)
    with average.shown():
        assert model.fc.bias.equal(own)


def test_an_error_while_it_is_shown_leaves_the_weights() -> None:
    model, average, _ = made(phase_of(ema={}))
    average.after_step()
    own = move(model, 2.0)
    with pytest.raises(KeyboardInterrupt), average.shown():
        raise KeyboardInterrupt
    assert model.fc.bias.equal(own)


def test_it_goes_on_where_it_was_kept() -> None:
    model, average, _ = made(phase_of(ema={"decay": 0.9}))
    other, again, _ = made(phase_of(ema={"decay": 0.9}))
    average.after_step()
    again.load_state_dict(average.state_dict())
    for each, mean in ((model, average), (other, again)):
        move(each, 1.0)
        mean.after_step()
    for name, value in average.tensors.items():
        assert value.equal(again.tensors[name]), name


def test_statistics_are_those_of_the_batches() -> None:
    phase = phase_of(train="all")
    model, average, _ = made(phase)
    early = [torch.randn(6, 3, 32, 32) * s + s for s in (1, 2)]
    caught: list[torch.Tensor] = []
    model.conv1[0].register_forward_hook(lambda _m, _i, out: caught.append(out.detach()))
    moved = [norm.training for norm in average.plan.norms(model)]
    refresh_statistics(model, average.plan, iter(early), model)
    norm = model.conv1[1]
    means = torch.stack([out.mean((0, 2, 3)) for out in caught])
    assert torch.allclose(norm.running_mean, means.mean(0), atol=1e-5)
    assert [each.training for each in average.plan.norms(model)] == moved
    assert norm.momentum == 0.1


def test_what_fails_leaves_the_momenta_as_they_were() -> None:
    model, average, _ = made(phase_of(train="all"))

    def fail(_: torch.Tensor) -> None:
        raise MemoryError

    with pytest.raises(MemoryError):
        refresh_statistics(model, average.plan, iter([torch.zeros(2, 3, 32, 32)]), fail)
    assert {norm.momentum for norm in average.plan.norms(model)} == {0.1}


@pytest.mark.parametrize(
    "options",
    [
        {"ema": {}, "swa": {}, "epochs": 9},
        {"swa": {}, "epochs": 9, "early_stopping": {}},
        {"swa": {"epochs": 5}},
    ],
)
def test_what_contradicts_itself_is_refused(options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="swa"):
        phase_of(**options)
