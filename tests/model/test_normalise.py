from __future__ import annotations

import torch

from finetune.data.input_spec import InputSpec
from finetune.model.normalise import normalise

CPU = torch.device("cpu")


def test_bytes_become_what_the_network_was_trained_on():
    spec = InputSpec(mean=(0.5, 0.25, 0.0), std=(0.5, 0.25, 1.0))
    pixels = torch.tensor([0, 255, 51], dtype=torch.uint8).expand(2, 4, 4, 3)

    found = normalise(pixels, spec, CPU)

    assert found.shape == (2, 3, 4, 4)
    torch.testing.assert_close(found[0, :, 1, 2], torch.tensor([-1.0, 3.0, 0.2]))


def test_what_inference_asked_for_first_serves_training():
    spec = InputSpec(mean=(0.1, 0.2, 0.3))
    pixels = torch.ones((1, 2, 2, 3), dtype=torch.uint8)
    with torch.inference_mode():
        first = normalise(pixels, spec, CPU)

    scale = torch.ones(3, 1, 1, requires_grad=True)
    (normalise(pixels, spec, CPU) * scale).sum().backward()

    torch.testing.assert_close(scale.grad.flatten(), first.sum((0, 2, 3)))
