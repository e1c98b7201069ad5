"""Units of measure, the Chinese market units among them. Pure and exact."""

from collections.abc import Mapping
from fractions import Fraction

from queqiao_toolserver.calculator import Number, shown
from queqiao_toolserver.problems import Problem

SCALES: Mapping[str, Mapping[str, str]] = {
    "length": {
        "mm 毫米": "0.001",
        "cm 厘米 公分": "0.01",
        "dm 分米": "0.1",
        "m 米 公尺": "1",
        "km 千米 公里": "1000",
        "寸": "1/30",
        "尺": "1/3",
        "丈": "10/3",
        "里 华里": "500",
        "in inch 英寸": "0.0254",
        "ft foot feet 英尺": "0.3048",
        "yd yard 码": "0.9144",
        "mi mile 英里": "1609.344",
        "nmi 海里": "1852",
    },
    "mass": {
        "mg 毫克": "0.000001",
        "g 克": "0.001",
        "kg 千克 公斤": "1",
        "t 吨": "1000",
        "钱": "0.005",
        "两": "0.05",
        "斤 市斤": "0.5",
        "担": "50",
        "oz 盎司": "0.028349523125",
        "lb pound 磅": "0.45359237",
    },
    "area": {
        "cm2 平方厘米": "0.0001",
        "m2 平方米 平米": "1",
        "km2 平方千米 平方公里": "1000000",
        "ha 公顷": "10000",
        "亩": "2000/3",
        "ft2 平方英尺": "0.09290304",
        "acre 英亩": "4046.8564224",
    },
    "volume": {
        "ml 毫升": "0.001",
        "l L 升": "1",
        "m3 立方米": "1000",
        "cup 杯": "0.2365882365",
        "gal gallon 加仑": "3.785411784",
    },
    "time": {
        "s 秒": "1",
        "min 分钟": "60",
        "h 小时": "3600",
        "d 天": "86400",
        "week 周": "604800",
    },
    "speed": {
        "m/s 米每秒": "1",
        "km/h 公里每小时 千米每小时": "5/18",
        "mph 英里每小时": "0.44704",
        "kn knot 节": "463/900",
    },
    "size": {
        "bit 比特": "1/8",
        "B byte 字节": "1",
        "KB": "1000",
        "MB": "1000000",
        "GB": "1000000000",
        "TB": "1000000000000",
        "KiB": "1024",
        "MiB": "1048576",
        "GiB": "1073741824",
    },
}
"""By kind: the names of each unit, and how many of the kind's basic unit it is."""
UNITS: Mapping[str, tuple[str, Fraction]] = {
    name: (kind, Fraction(factor))
    for kind, units in SCALES.items()
    for names, factor in units.items()
    for name in names.split()
}
DEGREES: Mapping[str, tuple[Fraction, Fraction]] = {
    name: (Fraction(factor), Fraction(zero))
    for names, factor, zero in (
        ("C °C ℃ 摄氏度 celsius", "1", "273.15"),
        ("F °F ℉ 华氏度 fahrenheit", "5/9", "45967/180"),
        ("K 开尔文 kelvin", "1", "0"),
    )
    for name in names.split()
}
"""Scales of temperature: kelvin for one degree, and kelvin at its zero."""


def convert(value: float | str, source: str, target: str) -> str:
    """Convert a value from one unit to another of its kind, as text with the unit.

    Raises:
        Problem: it is no number, or the units are unknown or of two kinds.
    """
    try:
        amount = Fraction(str(value))
    except (ValueError, ZeroDivisionError):
        raise Problem(f"not a number: {str(value)[:40]!r}") from None
    if source in DEGREES and target in DEGREES:
        (factor, zero), (other_factor, other_zero) = DEGREES[source], DEGREES[target]
        return f"{shown(Number((amount * factor + zero - other_zero) / other_factor))} {target}"
    (kind, factor), (other_kind, other_factor) = _unit(source), _unit(target)
    if kind != other_kind:
        raise Problem(f"{source} is a unit of {kind}, and {target} of {other_kind}")
    return f"{shown(Number(amount * factor / other_factor))} {target}"


def _unit(name: str) -> tuple[str, Fraction]:
    found = UNITS.get(name) or UNITS.get(name.lower())
    if found is None:
        raise Problem(f"no unit is called {name[:40]!r}; known are {', '.join([*UNITS, *DEGREES])}")
    return found
