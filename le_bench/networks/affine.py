"""How far behind a layer a network is an affine map of the layer's output."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from le_bench.networks.rest import Kept, logits_of

AFFINE_MODULES = (
    nn.Linear,
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
    nn.BatchNorm1d,
    nn.BatchNorm2d,
    nn.BatchNorm3d,
    nn.AvgPool1d,
    nn.AvgPool2d,
    nn.AdaptiveAvgPool1d,
    nn.AdaptiveAvgPool2d,
    nn.Identity,
    nn.Dropout,
    nn.Dropout2d,
    nn.Flatten,
    nn.Unflatten,
    nn.ZeroPad2d,
)
SUMS = (operator.add, operator.iadd, operator.sub, torch.add, torch.sub)
AFFINE_FUNCTIONS = (
    torch.flatten,
    torch.mean,
    torch.sum,
    torch.reshape,
    torch.permute,
    torch.transpose,
    torch.squeeze,
    torch.unsqueeze,
    F.adaptive_avg_pool2d,
    F.avg_pool2d,
    operator.getitem,
)
AFFINE_METHODS = frozenset(
    {
        "mean",
        "sum",
        "flatten",
        "view",
        "reshape",
        "permute",
        "transpose",
        "squeeze",
        "unsqueeze",
        "contiguous",
    }
)
SHAPE_METHODS = frozenset({"size", "dim"})


@dataclass(frozen=True, eq=False)
class Halves:
    """The rest of a network in two halves.

    `affine` turns the layer's output into tensors that are affine functions of it, `beyond` turns
    these into logits. `complete` if the logits are such tensors themselves, `trivial` if there is
    none but the layer's output. `name` says where the affine half ends.
    """

    affine: Callable[[Tensor, Kept], tuple[Tensor, ...]]
    beyond: Callable[[tuple[Tensor, ...], Kept], Tensor]
    complete: bool
    trivial: bool
    name: str


def halves(graph: fx.GraphModule) -> Halves:
    """The largest affine half that the operations by themselves show, and what is left.

    `graph` is that of the rest of a network, with the layer's output as first input. Sums with
    tensors that do not depend on the layer are affine; products with them are not counted, since
    their factor differs from image to image.
    """
    nodes = list(graph.graph.nodes)
    layer = nodes[0]
    behind: set[fx.Node] = {layer}
    affine: set[fx.Node] = {layer}
    shapes: set[fx.Node] = set()
    for node in nodes:
        if node.op == "output" or not any(a in behind for a in node.all_input_nodes):
            continue
        behind.add(node)
        if _is_shape(node, shapes):
            shapes.add(node)
        elif _is_affine(graph, node, behind, affine, shapes):
            affine.add(node)
    ends = [
        n
        for n in nodes
        if n in affine and any(u not in affine and u not in shapes for u in n.users)
    ]
    read = {
        n
        for n in nodes
        if n in shapes and any(u not in affine and u not in shapes for u in n.users)
    }
    end = next(n for n in nodes if n.op == "output")
    if read:  # sizes of the layer's maps are needed beyond; not worth a case of its own
        ends = [layer]
    first = _part(graph, [layer], tuple(ends))
    last = _part(graph, ends, end.args[0])
    tail = first

    def affine_half(output: Tensor, kept: Kept) -> tuple[Tensor, ...]:
        with torch.no_grad():
            given: tuple[Tensor, ...] = tail(output, *kept)
        return given

    def beyond(tensors: tuple[Tensor, ...], kept: Kept) -> Tensor:
        with torch.no_grad():
            return logits_of(last(*tensors, *kept))

    complete = len(ends) == 1 and ends[0] in end.all_input_nodes and len(ends[0].users) == 1
    name = " and ".join(n.name if n.op == "call_function" else str(n.target) for n in ends)
    return Halves(affine_half, beyond, complete, ends == [layer], name)


def _part(graph: fx.GraphModule, inputs: list[fx.Node], outputs: Any) -> fx.GraphModule:
    """The graph from these nodes, as first inputs, to `outputs`; inputs kept of it follow."""
    part = fx.Graph()
    there: dict[fx.Node, Any] = {n: part.placeholder(f"given_{n.name}") for n in inputs}
    needed: set[fx.Node] = set()
    found: list[fx.Node] = []
    fx.node.map_arg(outputs, found.append)
    while found:
        node = found.pop()
        if node not in needed:
            needed.add(node)
            if node not in there:
                found.extend(node.all_input_nodes)
    for node in graph.graph.nodes:
        if node.op == "placeholder" and node.name.startswith("kept_"):
            there[node] = part.placeholder(node.name)
        elif node in needed and node not in there:
            there[node] = part.node_copy(node, there.__getitem__)
    part.output(fx.node.map_arg(outputs, there.__getitem__))
    return fx.GraphModule(graph, part).eval()


def _is_shape(node: fx.Node, shapes: set[fx.Node]) -> bool:
    """Whether a node is about sizes alone."""
    if node.op == "call_method" and node.target in SHAPE_METHODS:
        return True
    if node.op == "call_function" and node.target is getattr and node.args[1] in ("shape", "ndim"):
        return True
    return all(a in shapes for a in node.all_input_nodes)


def _is_affine(
    graph: fx.GraphModule,
    node: fx.Node,
    behind: set[fx.Node],
    affine: set[fx.Node],
    shapes: set[fx.Node],
) -> bool:
    """Whether a node is an affine function of the layer's output, given the nodes before it."""
    dependent = [a for a in node.all_input_nodes if a in behind and a not in shapes]
    if not all(a in affine for a in dependent):
        return False
    if node.op == "call_module":
        module = graph.get_submodule(str(node.target))
        return type(module) in AFFINE_MODULES and not module.training
    if node.op == "call_method":
        return node.target in AFFINE_METHODS and node.args[0] in affine and len(dependent) == 1
    if node.target in SUMS:
        return "alpha" not in node.kwargs
    return node.target in AFFINE_FUNCTIONS and node.args[0] in affine and len(dependent) == 1
