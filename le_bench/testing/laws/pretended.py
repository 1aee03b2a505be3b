"""A device that is not there: tensors on it cannot be mixed with those of the CPU.

Whoever computes on `evidence.device` must take along everything it needs. On a machine without a
GPU nothing shows that it forgot to, so this device is pretended: tensors that are sent to it, or
made on it, know that they are there, and an operation that mixes them with tensors of the CPU is
refused as CUDA refuses it. The numbers are computed on the CPU.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_flatten, tree_map_only

DEVICE = torch.device("meta")
CROSSING = ("copy_", "_to_copy", "index", "index_put_", "index_put", "_index_put_impl_")


class MixedDevicesError(RuntimeError):
    """An operation got tensors of two devices."""


class Elsewhere(Tensor):
    """A tensor on the pretended device; `here` holds its numbers."""

    here: Tensor

    @staticmethod
    def __new__(cls, here: Tensor) -> Elsewhere:
        """A tensor like `here` that says it is on the pretended device."""
        made: Elsewhere = Tensor._make_wrapper_subclass(
            cls,
            here.size(),
            strides=here.stride(),
            storage_offset=here.storage_offset(),
            dtype=here.dtype,
            device=DEVICE,
            requires_grad=here.requires_grad,
        )
        made.here = here
        return made

    def __repr__(self, *, tensor_contents: Any = None) -> str:  # type: ignore[override]  # torch
        return f"elsewhere({self.here!r})"

    def tolist(self) -> Any:
        """The numbers, as a tensor on a GPU gives them."""
        return self.here.tolist()

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]  # torch has none there
        cls,
        func: Any,
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Operations outside of the mode, such as those of a destructor."""
        return run(func, args, kwargs or {})


class LostNumbersError(RuntimeError):
    """A tensor was made in a way that cannot be pretended, so that its numbers are lost."""


class _Literals(TorchFunctionMode):
    """`torch.tensor` and the like, which no dispatch mode sees, made on the pretended device."""

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Every function of torch."""
        options = dict(kwargs or {})
        if func not in (torch.tensor, torch.as_tensor, Tensor.new_tensor):
            return func(*args, **options)
        device = options.pop("device", None)
        if device is None and func is Tensor.new_tensor:
            device = args[0].device
        if device is None or torch.device(device) != DEVICE:
            return func(*args, **(kwargs or {}))
        if func is Tensor.new_tensor:
            options.setdefault("dtype", args[0].dtype)
            return torch.tensor(*args[1:], **options).to(DEVICE)
        return func(*args, **options).to(DEVICE)


@contextmanager
def pretended_device() -> Iterator[torch.device]:
    """While this is on, in this thread and in pools of threads, its device is one that computes."""
    submit = ThreadPoolExecutor.submit

    def told(pool: ThreadPoolExecutor, task: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        def run_there() -> Any:
            with _Literals(), PretendedDevice():  # type: ignore[no-untyped-call]  # torch has no types here
                return task(*args, **kwargs)

        return submit(pool, run_there)

    ThreadPoolExecutor.submit = told  # type: ignore[method-assign,assignment]  # a mode is of a thread
    try:
        with _Literals(), PretendedDevice():  # type: ignore[no-untyped-call]  # torch has no types here
            yield DEVICE
    finally:
        ThreadPoolExecutor.submit = submit  # type: ignore[method-assign]


class PretendedDevice(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch again
    """While this is on, `DEVICE` is a device that computes."""

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Every operation of torch."""
        return run(func, args, kwargs or {})


def run(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Compute on the CPU, and put the result where it belongs.

    Raises MixedDevicesError or LostNumbersError.
    """
    given = [leaf for leaf in tree_flatten((args, dict(kwargs)))[0] if isinstance(leaf, Tensor)]
    there = any(isinstance(tensor, Elsewhere) for tensor in given)
    if any(tensor.device == DEVICE and not isinstance(tensor, Elsewhere) for tensor in given):
        raise LostNumbersError(f"{func} got a tensor made past the pretended device")
    name = func._schema.name.rpartition("::")[2]
    if there and name not in CROSSING:
        for tensor in given:
            if not isinstance(tensor, Elsewhere) and tensor.ndim > 0:
                raise MixedDevicesError(
                    f"torch.{name.strip('_')} got a tensor on the device that the component "
                    f"computes on and one of shape {tuple(tensor.shape)} on the CPU"
                )
    asked = kwargs.get("device")
    options = dict(kwargs)
    if asked is not None:
        there = torch.device(asked) == DEVICE
        options["device"] = torch.device("cpu")
    elif name == "copy_":
        there = isinstance(args[0], Elsewhere)
    plain_args, plain_options = tree_map_only(Elsewhere, lambda t: t.here, (tuple(args), options))
    result = func(*plain_args, **plain_options)
    if not there:
        return result
    wrapped = tree_map_only(Tensor, Elsewhere, result)
    if asked is not None:
        return wrapped
    return return_and_correct_aliasing(  # type: ignore[no-untyped-call]
        func, tuple(args), options, wrapped
    )
