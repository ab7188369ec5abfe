"""Training steps of networks with depthwise convolutions, by number format.

    python benchmarks/depthwise.py [NETWORK...] [--images 16] [--size 224] [--rounds 5]

A step passes a batch through the whole network, forward and back, channels-last, with random
weights: in float32, in plain bfloat16 autocast, and as `finetune` trains, where depthwise
convolutions that bfloat16 slows down stay in float32. The three take turns; what is told is the
median over the rounds of the process's own time. Written to `results/depthwise.md`, if no network
was named.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path

import timm
import torch
from torch import nn

from finetune.model.autocast import bfloat16_where_fast

CPU = torch.device("cpu")
NETWORKS = [
    "mobilenetv2_100",
    "mobilenetv3_large_100",
    "efficientnet_b0",
    "convnext_atto",
    "resnet50",
]
WAYS: dict[str, Callable[[], AbstractContextManager[object]]] = {
    "float32": nullcontext,
    "bfloat16": partial(torch.autocast, "cpu", torch.bfloat16),
    "ours": partial(bfloat16_where_fast, CPU),
}


def step(network: nn.Module, images: torch.Tensor, way: AbstractContextManager[object]) -> float:
    started = time.process_time()
    with way:
        logits = network(images)
    logits.float().sum().backward()
    return time.process_time() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("networks", nargs="*", default=NETWORKS)
    parser.add_argument("--images", type=int, default=16)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    lines = [
        f"<!-- batches of {given.images}, {given.size} px, seconds of a core -->",
        f"| network | {' | '.join(WAYS)} | bfloat16 over ours |",
        "|---" * (len(WAYS) + 2) + "|",
    ]
    for name in given.networks:
        network = timm.create_model(name).eval().to(memory_format=torch.channels_last)
        images = torch.randn(given.images, 3, given.size, given.size)
        images = images.to(memory_format=torch.channels_last)
        taken: dict[str, list[float]] = {way: [] for way in WAYS}
        for _ in range(given.rounds + 1):
            for way, made in WAYS.items():
                taken[way].append(step(network, images, made()))
        medians = {way: statistics.median(times[1:]) for way, times in taken.items()}
        cells = " | ".join(f"{seconds:.2f}" for seconds in medians.values())
        lines.append(f"| {name} | {cells} | {medians['bfloat16'] / medians['ours']:.2f} |")
        print(lines[-1], flush=True)
    if given.networks == NETWORKS:
        place = Path(__file__).parent / "results" / "depthwise.md"
        place.write_text("\n".join([*lines, ""]), encoding="utf-8")


if __name__ == "__main__":
    main()
