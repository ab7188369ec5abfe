"""A network cut in two: what is frozen, and what trains on its outputs.

The network is traced as a row of whole stages: a module that lies in one stage is a single step of
the trace, so that nothing inside it (drop-path, dropout, checks of shapes) is fixed by tracing.
Both halves hold the network's own modules and parameters: training the suffix trains the network,
and modes that are set on the network hold in the halves.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from inspect import signature
from operator import attrgetter
from typing import Any

import torch
from timm.layers import resample_abs_pos_embed
from torch import fx, nn
from torch.nn import functional

from finetune.model.head import FeatureTap, classifier, classifier_name
from finetune.model.modes import evaluating
from finetune.model.stages import HEAD, Stage, stages_of

_DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout)
# Functions that branch on shapes, which a trace doesn't know: steps by themselves too.
_SINGLE_FUNCTIONS = (resample_abs_pos_embed,)
_IMAGES = 2  # of the example that a cut is tried on: one would hide a lost batch dimension


class Uncuttable(Exception):
    """A network that can't be cut where it was asked for; the text says why."""


@dataclass(frozen=True)
class Cut:
    """A network as ``suffix(prefix(images))``.

    Attributes:
        prefix: From images ``[N, 3, H, W]`` to what the suffix takes, ``[N, ...]``.
        suffix: From there to logits ``[N, C]``.
        first: The first stage of the suffix.
        shape: Of what crosses, for one image.
    """

    prefix: nn.Module
    suffix: nn.Module
    first: str
    shape: tuple[int, ...]


def cut(model: nn.Module, first: str, size: int) -> Cut:
    """Cut ``model`` before the stage ``first``, so that the suffix is that stage and what follows.

    Before ``head`` the cut lies right before the classifier and its dropout: what crosses are the
    pooled features ``[N, D]``.

    Args:
        model: A timm network with one linear classifier; it is not changed.
        first: A stage's name, as `stages_of` gives them; not the first one.
        size: Side of the images, in pixels.

    Raises:
        Uncuttable: The trace fails, or something other than one tensor a picture would cross.
    """
    stages = stages_of(model)
    number = [stage.name for stage in stages].index(first)
    if number == 0:
        raise Uncuttable("there is nothing before the first stage")
    with evaluating(model):
        steps = _Steps.of(model, stages)
        border = _border(steps, number)
        prefix, suffix = _piece(steps, None, border), _piece(steps, border, None)
        shape = _try(model, prefix, suffix, size)
    return Cut(prefix, suffix, first, shape)


def between(model: nn.Module, first: str) -> nn.Module:
    """What is between a cut before ``first`` and the classifier: from what crosses to features.

    Raises:
        Uncuttable: The network can't be cut at one of the two.
    """
    stages = stages_of(model)
    number = [stage.name for stage in stages].index(first)
    if number == len(stages) - 1:
        return nn.Identity()
    with evaluating(model):
        steps = _Steps.of(model, stages)
        return _piece(steps, _border(steps, number), _border(steps, len(stages) - 1))


def cut_at_features(model: nn.Module, size: int) -> Cut:
    """Cut before the classifier without a trace: the whole network runs, its features are caught.

    For networks that `cut` refuses.

    Raises:
        Uncuttable: Something other than dropout at the network's rate lies between.
        WeightsError: The classifier's inputs are not ``[N, D]``.
    """
    rate = float(getattr(model, "drop_rate", 0.0))
    suffix = nn.Sequential(_FollowingDropout(model, rate), classifier(model))
    prefix = _Caught(model)
    with evaluating(model):
        shape = _try(model, prefix, suffix, size)
    return Cut(prefix, suffix, HEAD, shape)


class _Caught(nn.Module):
    """What goes into a network's classifier."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """The classifier's inputs ``[N, D]`` for images ``[N, 3, H, W]``."""
        with FeatureTap(self.network) as tap:
            self.network(images)
            return tap.features


class _Tracer(fx.Tracer):
    """Takes modules that lie in one stage as single steps."""

    def __init__(self, whole: Iterable[str]) -> None:
        super().__init__(autowrap_functions=_SINGLE_FUNCTIONS)
        self._whole = set(whole)

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Whether ``m`` is a step by itself; whatever has tensors of its own is, as norms are."""
        name = module_qualified_name
        owns = any(True for _ in (*m.parameters(False), *m.buffers(False)))
        return owns or name in self._whole or super().is_leaf_module(m, name)


class _FollowingDropout(nn.Module):
    """Dropout that a network calls as a function, in the network's mode instead of the trace's."""

    def __init__(self, network: nn.Module, rate: float) -> None:
        super().__init__()
        self._network = (network,)  # not as a submodule: it would hold itself
        self._rate = rate

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Drop in training."""
        return functional.dropout(values, self._rate, self._network[0].training)


@dataclass(frozen=True)
class _Steps:
    """The trace of a network and the stage of each of its steps.

    Attributes:
        graph: The trace.
        parts: What its steps refer to by name: the network's own modules and tensors.
        stage: The number of each step's stage; steps that don't hang on the images have none.
    """

    graph: fx.Graph
    parts: dict[str, Any]
    stage: dict[fx.Node, int]

    @classmethod
    def of(cls, model: nn.Module, stages: Sequence[Stage]) -> _Steps:
        graph = _trace(model, stages)
        parts = {
            node.target: attrgetter(node.target)(model)
            for node in graph.nodes
            if node.op in ("call_module", "get_attr")
        }
        _replace_dropout(model, graph, parts)
        return cls(graph, parts, _numbered(graph, parts, model, stages))


def _trace(model: nn.Module, stages: Sequence[Stage]) -> fx.Graph:
    _, *options = signature(model.forward).parameters.values()
    fixed = {option.name: option.default for option in options}
    try:
        return _Tracer(name for stage in stages for name in stage.modules).trace(model, fixed)
    except Exception as error:  # whatever a network's own code makes of a traced value
        reason = " ".join(str(error).split())[:160]
        raise Uncuttable(f"it can't be traced: {reason}") from error


def _replace_dropout(model: nn.Module, graph: fx.Graph, parts: dict[str, Any]) -> None:
    for node in list(graph.nodes):
        if node.op != "call_function" or node.target is not functional.dropout:
            continue
        values, rate = (*node.args, node.kwargs.get("p", 0.5))[:2]
        name = f"dropout_{node.name}"
        parts[name] = _FollowingDropout(model, float(rate))
        with graph.inserting_after(node):
            new = graph.call_module(name, (values,))
        node.replace_all_uses_with(new)
        graph.erase_node(node)


def _numbered(
    graph: fx.Graph, parts: dict[str, Any], model: nn.Module, stages: Sequence[Stage]
) -> dict[fx.Node, int]:
    """The stage of each step: its module's, and never before that of anything it takes in.

    Functions go with what they take in. Pooling between the body and the classifier goes with the
    body: only the classifier and dropout are worth keeping behind the last cut.
    """
    own = {name: at for at, stage in enumerate(stages) for name in stage.modules}
    head = len(stages) - 1
    head_name = classifier_name(model)
    number: dict[fx.Node, int] = {}
    for node in graph.nodes:
        taken = [number[source] for source in node.all_input_nodes if source in number]
        if node.op == "placeholder":
            number[node] = 0
            continue
        if not taken:
            continue
        at = max(taken)
        if node.op == "call_module":
            at = max(at, _stage_of(node.target, own, head, parts, head_name))
        number[node] = at
    return number


def _stage_of(
    name: str, own: dict[str, int], head: int, parts: dict[str, Any], head_name: str
) -> int:
    module = parts[name]
    if isinstance(module, _FollowingDropout):
        return head
    at = own.get(name, 0)
    drops = any(isinstance(each, _DROPOUTS) for each in module.modules())
    holds = name == head_name or head_name.startswith(f"{name}.")
    return at if at < head or drops or holds else 0


@dataclass(frozen=True)
class _Border:
    """The stage before which a network is cut, and the one step whose result crosses there."""

    number: int
    step: fx.Node


def _border(steps: _Steps, number: int) -> _Border:
    crossing = [
        node
        for node, at in steps.stage.items()
        if at < number and any(steps.stage.get(user, -1) >= number for user in node.users)
    ]
    if len(crossing) != 1:
        names = ", ".join(node.name for node in crossing) or "nothing"
        raise Uncuttable(f"{names} would cross, not one tensor")
    return _Border(number, crossing[0])


def _piece(steps: _Steps, start: _Border | None, end: _Border | None) -> nn.Module:
    """The steps from one border to another; None: from the images, or to the logits."""
    graph = fx.Graph()
    known = {start.step: graph.placeholder("crossing")} if start else {}
    for node in steps.graph.nodes:
        at = steps.stage.get(node)
        if node.op == "output":
            last = end.step if end else node.args[0]
            graph.output(fx.node.map_arg(last, known.__getitem__))
            continue
        # What doesn't hang on the images (a table of positions) is worked out in each piece.
        before = start is not None and at is not None and at < start.number
        after = end is not None and at is not None and at >= end.number
        if not before and not after:
            known[node] = graph.node_copy(node, known.__getitem__)
    return _assembled(steps, graph)


def _assembled(steps: _Steps, graph: fx.Graph) -> nn.Module:
    half = fx.GraphModule(steps.parts, graph)
    half.graph.eliminate_dead_code()
    half.recompile()
    return half


def _try(model: nn.Module, prefix: nn.Module, suffix: nn.Module, size: int) -> tuple[int, ...]:
    """Pass an example through both halves and through the whole; the shape that crosses."""
    place = next(model.parameters())
    images = torch.zeros(_IMAGES, 3, size, size, device=place.device, dtype=place.dtype)
    images[1] = 1.0
    with torch.inference_mode():
        crossing = prefix(images)
        if not isinstance(crossing, torch.Tensor) or len(crossing) != _IMAGES:
            raise Uncuttable("what crosses is not a tensor with a row for each image")
        if not torch.allclose(suffix(crossing), model(images), rtol=1e-4, atol=1e-5):
            raise Uncuttable("its halves don't compute what the whole does")
    return tuple(crossing.shape[1:])
