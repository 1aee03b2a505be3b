"""What becomes of a target model's loss when units of a layer are replaced."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from torch import Tensor

from le_bench.types.choices import Split
from le_bench.types.network import Layer
from le_bench.types.requirement import require


@dataclass(frozen=True, slots=True)
class Temperature:
    """What a target model's logits are divided by, and how it came about.

    `cross_entropy` is the mean over the val images at this temperature, `plain` that at 1.
    """

    value: float
    source: str
    cross_entropy: float
    plain: float

    def __post_init__(self) -> None:
        require(self.value > 0, f"a temperature of {self.value} is not above 0")


@dataclass(frozen=True, slots=True)
class AblationOptions:
    """How losses with replaced units are had; all scorers with equal options share them.

    `temperature` None has it fitted on the val images. `images` is the most images of a split
    that go through the network, spread evenly over it (None: all). Behind a layer from which the
    logits do not follow by a linear map, the loss of each image as a function of a unit's value is
    computed at `nodes` values and interpolated. At most `runs` images go through the rest of the
    network at a time, each with one unit replaced.
    """

    temperature: float | None = None
    images: int | None = None
    nodes: int = 6
    runs: int = 256

    def __post_init__(self) -> None:
        require(
            self.temperature is None or self.temperature > 0,
            f"temperature must be above 0, not {self.temperature}",
        )
        require(
            self.images is None or self.images >= 1, f"images must be at least 1, not {self.images}"
        )
        require(self.nodes >= 4, f"nodes must be at least 4, not {self.nodes}")
        require(self.runs >= 1, f"runs must be at least 1, not {self.runs}")


@dataclass(frozen=True, slots=True)
class ImpactOptions:
    """How Top Impact is measured; see `le_bench.formulas.impact`.

    `over` the test images or `all` of the three splits; `fractions` of these, `images` the most of
    them that are run, spread evenly (None: all), `counting` how many images a fraction is,
    `temperature` None to have it fitted on the val images, `runs` images through the rest of a
    network at a time.
    """

    fractions: tuple[float, ...] = (0.0003, 0.002, 0.02, 0.1, 0.5)
    images: int | None = None
    counting: Literal["exact", "authors"] = "exact"
    temperature: float | None = None
    runs: int = 256
    over: Literal["test", "all"] = "test"

    def __post_init__(self) -> None:
        require(
            bool(self.fractions) and all(0 < f <= 1 for f in self.fractions),
            f"fractions must lie above 0 and at most at 1, not {self.fractions}",
        )
        require(
            list(self.fractions) == sorted(set(self.fractions)),
            f"fractions must rise, not {self.fractions}",
        )
        AblationOptions(self.temperature, self.images, runs=self.runs)


class Curves(Protocol):
    """Loss changes of N images as smooth functions of what each of U units is replaced by."""

    def at(self, values: Tensor) -> Tensor:
        """Loss changes for values (N, U), (N, U) float64."""
        ...

    def with_slopes(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Loss changes for values (N, U) and their derivatives by the value."""
        ...

    def of(self, units: Tensor) -> Curves:
        """Those of some units, by number."""
        ...

    def holds(self, values: Tensor) -> Tensor:
        """Which of these values (N, U) lie where the functions interpolate, bool.

        Elsewhere they go on as straight lines.
        """
        ...


class Ablations(Protocol):
    """A target model whose units of one layer can be replaced, on judged images with labels.

    `rows` gives for each split the places, among the images of the split, of those that are run
    through the network. A change is L(f with unit k replaced by v) - L(f) for one image, L the
    cross-entropy of the logits divided by the temperature; f is the whole, unchanged network.
    Changes no larger than `noise` are rounding.
    """

    layer: Layer
    temperature: Temperature

    @property
    def rows(self) -> Mapping[Split, Tensor]:
        """Places within each split of the images that are run."""
        ...

    @property
    def noise(self) -> float:
        """The largest change that is rounding."""
        ...

    @property
    def block(self) -> int:
        """Of how many units changes are best asked for at a time."""
        ...

    def changes(self, split: Split, units: slice, values: Tensor) -> Tensor:
        """Exact changes (n, u) float64 for values (n, u) of these units."""
        ...

    def changes_at(self, split: Split, units: slice, values: Tensor, where: Tensor) -> Tensor:
        """Exact changes float64 for those of the values (n, u) that `where` (n, u) asks for."""
        ...

    def curves(self, split: Split, units: slice, low: Tensor, high: Tensor) -> Curves:
        """Changes as functions, at least from `low` to `high` (u,) where that is cheap."""
        ...
