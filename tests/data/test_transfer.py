from __future__ import annotations

from unittest.mock import Mock

import pytest
import torch

from finetune.data.transfer import to_device


@pytest.mark.parametrize(("kind", "waits"), [("cuda", False), ("mps", True), ("cpu", True)])
def test_only_cuda_copies_meanwhile(kind, waits):
    tensor, device = Mock(spec=torch.Tensor), torch.device(kind)

    to_device(tensor, device)

    tensor.to.assert_called_once_with(device, non_blocking=not waits)
