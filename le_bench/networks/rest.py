"""Running only the rest of a network: all that comes behind one layer."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

from le_bench.errors import NotApplicableError
from le_bench.networks.layers import canonical_path, first_tensor, resolve_layers
from le_bench.types import Layer

logger = logging.getLogger(__name__)

Kept = tuple[Any, ...]


@dataclass(frozen=True, eq=False)
class Cut:
    """A network cut behind one layer.

    `start` turns a batch (B, ...) into the layer's output and whatever else the rest reads;
    `finish` turns these, for any number of images, into logits. `graph` is the graph of the rest
    if the network could be traced; without it `finish` runs the whole network.
    """

    start: Callable[[Tensor], tuple[Tensor, Kept]]
    finish: Callable[[Tensor, Kept], Tensor]
    graph: fx.GraphModule | None = None


class _Tracer(fx.Tracer):
    """Sees a module of one path as a single step and looks into all that contain it."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        if module_qualified_name == self.path:
            return True
        if self.path.startswith(f"{module_qualified_name}."):
            return False
        return super().is_leaf_module(m, module_qualified_name)


def whole_cut(module: nn.Module, layer: Layer) -> Cut:
    """Runs the whole network and replaces the layer's output on the way; right for any network."""
    target = resolve_layers(module, [layer])[0]

    def run(batch: Tensor, replace: Callable[[object], object]) -> Tensor:
        handle = target.register_forward_hook(lambda _module, _inputs, output: replace(output))
        try:
            with torch.no_grad():
                return logits_of(module(batch))
        finally:
            handle.remove()

    def start(batch: Tensor) -> tuple[Tensor, Kept]:
        seen: list[Tensor] = []

        def see(output: object) -> object:
            tensor = first_tensor(output)
            if tensor is None:
                raise NotApplicableError(f"layer '{layer.path}' gives no tensor to be replaced")
            seen.append(tensor.clone())
            return output

        run(batch, see)
        return seen[0], (batch,)

    def finish(output: Tensor, kept: Kept) -> Tensor:
        return run(kept[0], lambda given: _in_place_of(given, output))

    return Cut(start, finish)


def _in_place_of(given: object, tensor: Tensor) -> object:
    """A module's output with its first tensor replaced."""
    if isinstance(given, Tensor):
        return tensor
    if isinstance(given, dict):
        first = next(key for key, part in given.items() if isinstance(part, Tensor))
        return {**given, first: tensor}
    if isinstance(given, tuple | list):
        place = next(at for at, part in enumerate(given) if isinstance(part, Tensor))
        parts = [*given[:place], tensor, *given[place + 1 :]]
        return tuple(parts) if isinstance(given, tuple) else parts
    raise TypeError(f"{type(given).__name__} holds no tensor")


def logits_of(output: object) -> Tensor:
    """The logits (B, C) that a network gives. Raises NotApplicableError if it gives none."""
    tensor = first_tensor(output)
    if tensor is None or tensor.ndim != 2:
        shape = "no tensor" if tensor is None else f"shape {tuple(tensor.shape)}"
        raise NotApplicableError(
            f"the target model is no classifier: its output ({shape}) is not (images, classes)"
        )
    return tensor


def traced_cut(module: nn.Module, layer: Layer) -> Cut | None:
    """Two graphs, of what comes before and behind the layer; None if tracing does not succeed.

    Tracing follows one path through the code, so whoever uses the cut must check it.
    """
    path = canonical_path(module, layer.path)
    defaults = {
        name: parameter.default
        for name, parameter in inspect.signature(module.forward).parameters.items()
        if parameter.default is not inspect.Parameter.empty
    }
    try:
        graph = _Tracer(path).trace(module, concrete_args=defaults or None)
        node = next(n for n in graph.nodes if n.op == "call_module" and n.target == path)
        return _cut(module, graph, node, defaults)
    except Exception:  # tracing runs the network's own code, which may do anything
        logger.debug("tracing %s behind %s", type(module).__name__, path, exc_info=True)
        return None


def _cut(module: nn.Module, graph: fx.Graph, node: fx.Node, defaults: dict[str, Any]) -> Cut:
    nodes = list(graph.nodes)
    end = next(n for n in nodes if n.op == "output")
    needed = _closure([end], lambda n: n.all_input_nodes)
    behind = _closure([node], lambda n: n.users) - {node}
    rest = [n for n in nodes if n in behind and n in needed and n.op != "output"]
    inputs = {a for n in [*rest, end] for a in n.all_input_nodes}
    constants = _constants(nodes, defaults)
    kept = [
        n
        for n in nodes
        if n in inputs and n not in behind and n is not node and n.op != "get_attr"
        if n not in constants
    ]
    before = _closure([node, *kept], lambda n: n.all_input_nodes)
    head = fx.Graph()
    there: dict[fx.Node, Any] = dict(constants)
    for n in nodes:
        if n in before and n not in there:
            there[n] = head.node_copy(n, there.__getitem__)
    head.output((there[node], *(there[n] for n in kept)))
    tail = fx.Graph()
    here: dict[fx.Node, Any] = dict(constants)
    here[node] = tail.placeholder("layer")
    here |= {n: tail.placeholder(f"kept_{place}") for place, n in enumerate(kept)}
    for n in nodes:
        if n not in here and (n in rest or (n.op == "get_attr" and n in inputs)):
            here[n] = tail.node_copy(n, here.__getitem__)
    tail.output(fx.node.map_arg(end.args[0], here.__getitem__))
    first, last = fx.GraphModule(module, head).eval(), fx.GraphModule(module, tail).eval()

    def start(batch: Tensor) -> tuple[Tensor, Kept]:
        with torch.no_grad():
            output, *others = first(batch)
        return output, tuple(others)

    def finish(output: Tensor, others: Kept) -> Tensor:
        with torch.no_grad():
            return logits_of(last(output, *others))

    return Cut(start, finish, last)


def _constants(nodes: Iterable[fx.Node], defaults: dict[str, Any]) -> dict[fx.Node, Any]:
    """Inputs of the network besides the batch, by what they are unless they are given."""
    inputs = [n for n in nodes if n.op == "placeholder"][1:]
    names = list(defaults)
    return {n: defaults[names[at]] for at, n in enumerate(inputs)}


def _closure(start: Iterable[fx.Node], step: Callable[[fx.Node], Iterable[fx.Node]]) -> set[Any]:
    """All nodes that can be reached from these."""
    found: set[fx.Node] = set()
    stack = list(start)
    while stack:
        node = stack.pop()
        if node not in found:
            found.add(node)
            stack.extend(step(node))
    return found
