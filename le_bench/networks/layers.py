"""Layers of a target model: finding them by path, pooling their output, listing them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from le_bench.errors import LayerError
from le_bench.types import Images, Layer, Pooling, TargetModel

HOW_TO_LIST = "list them with `le-bench layers MODEL`"
STEP = re.compile(r"(?:^|(?<!^)\.)(?P<name>[^.\[\]]+)|\[(?P<index>-?\d+)\]")
POOLINGS: Mapping[int, tuple[Pooling, ...]] = {
    2: ("avg", "max", "none"),
    3: ("avg", "max", "first"),
    4: ("avg", "max"),
}


@dataclass(frozen=True, slots=True)
class ListedLayer:
    """One layer of a target model as `le-bench layers` shows it.

    `shape` is that of the output for one image without the first dimension, `units` how many
    units it has and `poolings` what may be asked of it; None and nothing where `remark` says why
    it cannot be recorded. Another remark says which `channels` the layer seems to need.
    """

    path: str
    type: str
    shape: tuple[int, ...] | None
    units: int | None
    poolings: tuple[Pooling, ...] = ()
    remark: str = ""


def resolve_layers(module: nn.Module, layers: Iterable[Layer]) -> list[nn.Module]:
    """The modules of these layers, in order.

    Raises LayerError with every path that does not exist and the three paths nearest to it.
    """
    found = [(layer, *_find(module, layer.path)) for layer in layers]
    unknown = list(dict.fromkeys(layer.path for layer, _, target in found if target is None))
    if unknown:
        known = [path for path, _ in module.named_modules() if path]
        complaints = [f"there is no layer '{path}'{_nearest(path, known)}" for path in unknown]
        raise LayerError(f"{type(module).__name__}: {'; '.join(complaints)}; {HOW_TO_LIST}")
    return [target for _, _, target in found if target is not None]


def build_on_meta(build: Callable[[], nn.Module]) -> nn.Module:
    """What `build` makes, in eval mode on the device `meta`: no memory, and shapes alone.

    Networks that compute with numbers while they are built are built on the CPU first.
    """
    with torch.random.fork_rng(devices=[]):
        try:
            with torch.device("meta"):
                module = build()
        except (NotImplementedError, RuntimeError):
            module = build().to("meta")
    return module.eval()


def wildcards(pattern: str) -> str:
    """The regular expression of a path in which `*` stands for anything within one name.

    >>> wildcards("encoder.layers.*.mlp")
    'encoder\\\\.layers\\\\.[^.]*\\\\.mlp'
    """
    return "[^.]*".join(map(re.escape, pattern.split("*")))


def expand_path(module: nn.Module, pattern: str) -> list[str]:
    """The module paths that a path with wildcards stands for, in the order of the network.

    Raises LayerError with the nearest paths if there are none.
    """
    known = [path for path, _ in module.named_modules() if path]
    found = [path for path in known if re.fullmatch(wildcards(pattern), path)]
    if not found:
        raise LayerError(
            f"{type(module).__name__}: no layer matches '{pattern}'{_nearest(pattern, known)}; "
            f"`*` stands for anything but a dot; {HOW_TO_LIST}"
        )
    return found


def canonical_path(module: nn.Module, path: str) -> str:
    """The module path behind a spelling such as `classifier[4]`, here `classifier.4`.

    Raises LayerError as `resolve_layers` does.
    """
    resolve_layers(module, [Layer(path)])
    return _find(module, path)[0]


def _find(module: nn.Module, path: str) -> tuple[str, nn.Module | None]:
    """Module path and module of a path, None if there is none.

    An index in brackets counts the children, as in Python: `encoder.layers[11]` is the twelfth
    child of `layers` whatever it is called. Nothing is ever evaluated.
    """
    steps = list(STEP.finditer(path))
    if not steps or "".join(step[0] for step in steps) != path:
        return path, None
    names: list[str] = []
    here = module
    for step in steps:
        children = [(name, child) for name, child in here._modules.items() if child is not None]
        if step["name"]:
            chosen = [pair for pair in children if pair[0] == step["name"]]
        else:
            index = int(step["index"])
            chosen = children[index : index + 1 or None]
        if not chosen:
            return path, None
        names.append(chosen[0][0])
        here = chosen[0][1]
    return ".".join(names), here


def _nearest(path: str, known: Sequence[str]) -> str:
    """`; did you mean 'a', 'b' or 'c'?` with the three closest paths, however far they are."""
    close = [repr(name) for name in difflib.get_close_matches(path, known, n=3, cutoff=0.0)]
    if not close:
        return ""
    return f"; did you mean {', '.join(close[:-1]) + ' or ' if close[1:] else ''}{close[-1]}?"


def first_tensor(output: object) -> Tensor | None:
    """The tensor that a module gives, the first one of a tuple, list or mapping, or None."""
    if isinstance(output, Tensor):
        return output
    if isinstance(output, Mapping):
        output = tuple(output.values())
    if isinstance(output, tuple | list):
        return next((part for part in output if isinstance(part, Tensor)), None)
    return None


def looks_channels_last(shape: Sequence[int]) -> bool:
    """Whether the shape of an output is (N, A, A, C) with A != C: a square map, its units last."""
    return len(shape) == 4 and shape[1] == shape[2] != shape[3]


def channels_first(output: Tensor, layer: Layer) -> Tensor:
    """A view of a layer's output in which the units of a map come second, (N, U, h, w).

    Vectors (N, U) and tokens (N, T, U) stay as they are. Raises LayerError if the layer's
    `channels` do not fit the shape, or if it has none and the shape leaves a doubt.
    """
    gives = f"layer '{layer.path}' gives shape {tuple(output.shape)} (images first), "
    if output.ndim == 4 and layer.channels == "last":
        return output.permute(0, 3, 1, 2)
    if output.ndim == 3 and layer.channels == "first":
        raise LayerError(
            f'{gives}which are tokens: their units always come last; leave out channels = "first"'
        )
    if layer.channels is None and looks_channels_last(output.shape):
        raise LayerError(
            f'{gives}which looks as if channels came last; say channels = "last" (or "first") for '
            f'it, as in {{ path = "{layer.path}", channels = "last" }}'
        )
    return output


def pool(output: Tensor, layer: Layer) -> Tensor:
    """Pooled activations (N, U) float32 of a layer's output (N, U), (N, T, U) or (N, U, h, w).

    `channels_first` brings maps into this form. Means are taken in float32 whatever the type of
    `output`. The result may share memory with `output`. Raises LayerError if the pooling does not
    fit the shape.
    """
    if layer.pooling not in POOLINGS.get(output.ndim, ()):
        fitting = ", ".join(POOLINGS.get(output.ndim, ())) or "none at all"
        raise LayerError(
            f"layer '{layer.path}' gives shape {tuple(output.shape)} (images first), which "
            f"pooling '{layer.pooling}' does not fit; the poolings that fit are: {fitting}"
        )
    values = output.float()
    if values.ndim == 2:
        return values
    if layer.pooling == "first":
        return values[:, 0]
    positions = (1,) if values.ndim == 3 else (2, 3)
    return values.mean(positions) if layer.pooling == "avg" else values.amax(positions)


def list_layers(model: TargetModel, images: Images) -> tuple[ListedLayer, ...]:
    """Every module of a target model, in order, with the shape it gives for one image.

    Runs the model once, on the first image. What cannot be recorded is listed with the reason.
    """
    shapes: dict[str, list[tuple[int, ...] | None]] = {
        path: [] for path, _ in model.module.named_modules() if path
    }

    def note(path: str, _module: nn.Module, _inputs: object, output: object) -> None:
        tensor = first_tensor(output)
        shapes[path].append(None if tensor is None else tuple(tensor.shape))

    handles = [
        module.register_forward_hook(partial(note, path))
        for path, module in model.module.named_modules()
        if path
    ]
    try:
        with torch.inference_mode():
            model.module(model.preprocess(images.read([0])).to(model.device))
    except RuntimeError as error:  # of torch, for shapes that do not fit
        height, width = images.read([0])[0].shape[:2]
        raise LayerError(
            f"the network does not take an image of {height} x {width} pixels "
            f"({str(error).splitlines()[0]}); give it `resize` and `crop`, or name it in an "
            "experiment whose images fit and ask `le-bench layers ID --experiment FILE`"
        ) from error
    finally:
        for handle in handles:
            handle.remove()
    types = {path: type(module).__name__ for path, module in model.module.named_modules()}
    return tuple(_listed(path, types[path], given) for path, given in shapes.items())


def _listed(path: str, kind: str, shapes: Sequence[tuple[int, ...] | None]) -> ListedLayer:
    """The entry of a module whose calls gave these shapes, None for no tensor."""
    if len(shapes) != 1:
        remark = f"ran {len(shapes)} times in one pass" if shapes else "did not run"
        return ListedLayer(path, kind, None, None, (), remark)
    if shapes[0] is None:
        return ListedLayer(path, kind, None, None, (), "gives no tensor")
    poolings = POOLINGS.get(len(shapes[0]), ())
    if not poolings or shapes[0][0] != 1:
        return ListedLayer(path, kind, shapes[0], None, (), "cannot be pooled to (images, units)")
    shape = shapes[0][1:]
    if looks_channels_last(shapes[0]):
        return ListedLayer(path, kind, shape, shape[2], poolings, 'channels = "last"')
    return ListedLayer(path, kind, shape, shape[1] if len(shape) == 2 else shape[0], poolings)
