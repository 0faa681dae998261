"""The values that a search may give to a key: an interval of numbers, or some choices."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sweeps.study.trials import Value, canonical

DIGITS = 3
"""Significant digits of a number from an interval: folders are named after it."""

PLACES = 21
"""How many numbers stand for an interval of real ones where configurations are listed; distances
are measured in steps between them."""


@dataclass(frozen=True)
class Interval:
    """Numbers from `low` to `high`, both included, on a logarithmic scale if `log`."""

    low: float
    high: float
    log: bool = False
    integer: bool = False

    @property
    def values(self) -> tuple[Value, ...]:
        """All integers, or some numbers from end to end."""
        if self.integer:
            return tuple(range(round(self.low), round(self.high) + 1))
        return self.spread(PLACES)

    @property
    def number(self) -> float:
        """How many values there are: of numbers that are not integers, no end."""
        return round(self.high) - round(self.low) + 1 if self.integer else math.inf

    @property
    def middle(self) -> Value:
        """The value in the middle."""
        return self.snapped(self._at(0.5))

    def spread(self, number: int) -> tuple[Value, ...]:
        """Return so many numbers from end to end, or fewer where they are integers.

        >>> Interval(1, 100, log=True).spread(3)
        (1, 10, 100)
        """
        places = [place / (number - 1) for place in range(number)]
        return tuple(dict.fromkeys(self.snapped(self._at(place)) for place in places))

    def _at(self, place: float) -> float:
        if self.log:
            return float(self.low * (self.high / self.low) ** place)
        return self.low + place * (self.high - self.low)

    def snapped(self, number: float) -> Value:
        """Return a number as it is used: within the ends, whole if it must be, else of few digits.

        >>> Interval(0.5, 64).snapped(12.3456), Interval(2, 20, integer=True).snapped(2.6)
        (12.3, 3)
        """
        rounded = round(number) if self.integer else float(f"{number:.{DIGITS}g}")
        return canonical(min(max(rounded, self.low), self.high))

    def __contains__(self, value: Value) -> bool:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return is_number and self.low <= _number(value) <= self.high

    def distance(self, one: Value, other: Value) -> float:
        """Return how far two numbers are apart, in steps from one of `values` to the next."""
        scale = math.log if self.log else float
        a, b, low, high = (scale(_number(x)) for x in (one, other, self.low, self.high))
        return (PLACES - 1) * abs(a - b) / (high - low)


@dataclass(frozen=True)
class Choices:
    """Some values, numbers among them in order."""

    values: tuple[Value, ...]

    @classmethod
    def of(cls, values: Sequence[object]) -> "Choices":
        """Return distinct values; numbers are put in order.

        >>> Choices.of([16, 1.0, 4, 1])
        Choices(values=(1, 4, 16))
        """
        distinct = tuple(dict.fromkeys(canonical(value) for value in values))
        found = cls(distinct)
        return cls(tuple(sorted(distinct, key=_number))) if found.are_ordered else found

    @property
    def number(self) -> float:
        """How many they are."""
        return len(self.values)

    @property
    def middle(self) -> Value:
        """The value in the middle, of two the larger."""
        return self.values[len(self.values) // 2]

    @property
    def are_ordered(self) -> bool:
        """Whether they are numbers, whose neighbours are alike."""
        return all(isinstance(v, int | float) and not isinstance(v, bool) for v in self.values)

    def spread(self, number: int) -> tuple[Value, ...]:
        """Return so many of them, from end to end, or all if they are fewer.

        >>> Choices((1, 2, 4, 8, 16)).spread(3)
        (1, 4, 16)
        """
        last = len(self.values) - 1
        places = [round(place * last / (number - 1)) for place in range(number)]
        return tuple(dict.fromkeys(self.values[place] for place in places))

    def __contains__(self, value: Value) -> bool:
        return value in self.values

    def distance(self, one: Value, other: Value) -> float:
        """Return how many steps two of them are apart; all are neighbours if they have no order."""
        if self.are_ordered:
            return abs(self.values.index(one) - self.values.index(other))
        return float(one != other)


def _number(value: Value) -> float:
    return float(str(value))


Dimension = Interval | Choices
"""Where a key's values come from."""


def read_dimension(content: Mapping[str, Any]) -> Dimension:
    """Return the values of a key, as a manifest holds them."""
    return Choices.of(content["values"]) if "values" in content else Interval(**content)
