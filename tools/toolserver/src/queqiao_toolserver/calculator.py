"""Exact arithmetic on what people and models write. Pure; nothing is ever executed.

An expression is parsed by Python's own parser and then evaluated by a table of what is allowed:
numbers, operators, parentheses and a few functions. Numbers are fractions, so that 0.1 + 0.2 is
0.3; what no fraction can be (a root, a sine) is computed to 15 digits and said to be approximate.
"""

import ast
import math
import operator
import re
from collections.abc import Callable, Mapping
from fractions import Fraction

from msgspec import Struct

from queqiao_toolserver.problems import Problem

LONGEST = 300
"""Characters of an expression."""
LARGEST = 10_000
"""Bits of a numerator or denominator: about 3,000 digits."""
WRITTEN_OUT = 60
"""Digits up to which a decimal is written in full."""
DIGITS = 15
"""Significant digits of what is approximate."""

AS_PYTHON: Mapping[str, str] = {
    "×": "*",
    "·": "*",
    "÷": "/",
    "＋": "+",
    "－": "-",
    "−": "-",
    "＊": "*",
    "／": "/",
    "（": "(",
    "）": ")",
    "，": ",",
    "。": ".",
    "％": "%",
    "＝": "=",
    "^": "**",
    "²": "**2",
    "³": "**3",
    "√": "sqrt",
    "π": "pi",
}
"""How people write arithmetic, and how Python does."""
GROUPED = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?![\d,])")
PERCENT = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*%(?!\s*[\w(.])")


class Number(Struct, frozen=True):
    """A value, and whether it is exactly that."""

    value: Fraction
    is_exact: bool = True


def calculate(expression: str) -> str:
    """Return the value of an arithmetic expression, as text.

    Raises:
        Problem: it is no expression, divides by zero, or its value is too large.
    """
    source = _as_python(expression)
    try:
        tree = ast.parse(source, mode="eval")
        return shown(_Reader(source).number(tree.body))
    except Problem:
        raise
    except ZeroDivisionError:
        raise Problem("division by zero") from None
    except (SyntaxError, ValueError, TypeError):
        raise Problem("not an arithmetic expression that can be computed") from None
    except (OverflowError, RecursionError, MemoryError):
        raise Problem("the expression or its value is too large") from None


def shown(number: Number) -> str:
    """Write a number: in full where that is short, as a fraction with a decimal where not."""
    value = number.value
    if not number.is_exact:
        return f"≈ {_rounded(value)}"
    if value.denominator == 1:
        digits = str(value.numerator)
        return digits if len(digits) <= 4 * WRITTEN_OUT else f"≈ {_rounded(value)}"
    if (decimal := _decimal(value)) is not None:
        return decimal
    fraction = f"{value.numerator}/{value.denominator}"
    near = f"≈ {_rounded(value)}"
    return f"{fraction} {near}" if len(fraction) <= WRITTEN_OUT else near


def _as_python(expression: str) -> str:
    if len(expression) > LONGEST:
        raise Problem(f"longer than {LONGEST} characters")
    for written, python in AS_PYTHON.items():
        expression = expression.replace(written, python)
    expression = expression.strip().rstrip("?？=").strip()
    expression = GROUPED.sub(lambda found: found[0].replace(",", ""), expression)
    return PERCENT.sub(r"(\1/100)", expression).strip()


def _decimal(value: Fraction) -> str | None:
    """Write a fraction as a decimal, if it ends within reason."""
    rest, places = value.denominator, 0
    for prime in (2, 5):
        count = 0
        while rest % prime == 0:
            rest //= prime
            count += 1
        places = max(places, count)
    if rest != 1 or places > WRITTEN_OUT:
        return None
    digits = str(abs(value.numerator) * 10**places // value.denominator).rjust(places + 1, "0")
    sign = "-" if value < 0 else ""
    return f"{sign}{digits[:-places]}.{digits[-places:]}".rstrip("0").rstrip(".")


def _rounded(value: Fraction) -> str:
    """Write the most significant digits: Python's own format would lose the large ones."""
    if not value:
        return "0"
    size = abs(value)
    exponent = len(str(size.numerator)) - len(str(size.denominator))
    if -6 < exponent < DIGITS:
        return f"{float(value):.{DIGITS}g}"
    scaled = size * Fraction(10) ** -exponent
    if scaled < 1:
        scaled, exponent = scaled * 10, exponent - 1
    sign = "-" if value < 0 else ""
    return f"{sign}{float(scaled):.{DIGITS - 1}g}e{exponent:+d}"


class _Reader:
    """Evaluates the nodes of one parsed expression, and refuses all that are not in its tables."""

    def __init__(self, source: str) -> None:
        self._source = source

    def number(self, node: ast.expr) -> Number:
        """Return the value of one node, checked for size."""
        number = self._read(node)
        value = number.value
        if max(value.numerator.bit_length(), value.denominator.bit_length()) > LARGEST:
            raise Problem("the value is too large")
        return number

    def _read(self, node: ast.expr) -> Number:
        match node:
            case ast.Constant(value=bool() | complex() | str() | bytes()):
                raise Problem("only numbers can be computed")
            case ast.Constant():
                return Number(Fraction(ast.get_source_segment(self._source, node) or ""))
            case ast.Name(id=name) if name in CONSTANTS:
                return CONSTANTS[name]
            case ast.UnaryOp(op=ast.USub()):
                inner = self.number(node.operand)
                return Number(-inner.value, inner.is_exact)
            case ast.UnaryOp(op=ast.UAdd()):
                return self.number(node.operand)
            case ast.BinOp():
                return self._combined(node)
            case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
                return self._called(name, [self.number(one) for one in arguments])
            case _:
                raise Problem("only numbers, + - * / // % ** and functions can be computed")

    def _combined(self, node: ast.BinOp) -> Number:
        left, right = self.number(node.left), self.number(node.right)
        if isinstance(node.op, ast.Pow):
            return _power(left, right)
        operation = OPERATORS.get(type(node.op))
        if operation is None:
            raise Problem("only + - * / // % ** can be computed")
        value = Fraction(operation(left.value, right.value))
        return Number(value, left.is_exact and right.is_exact)

    def _called(self, name: str, arguments: list[Number]) -> Number:
        values = [one.value for one in arguments]
        is_exact = all(one.is_exact for one in arguments)
        if name == "sqrt" and len(arguments) == 1:
            return _power(arguments[0], Number(Fraction(1, 2)))
        if (exact := EXACT.get(name)) is not None:
            return Number(Fraction(exact(*values)), is_exact)
        if (approximate := APPROXIMATE.get(name)) is not None:
            return Number(Fraction(approximate(*map(float, values))), is_exact=False)
        known = ", ".join(sorted({"sqrt", *EXACT, *APPROXIMATE}))
        raise Problem(f"no function is called {name!r}; known are {known}")


def _power(base: Number, exponent: Number) -> Number:
    is_exact = base.is_exact and exponent.is_exact
    if exponent.value.denominator == 1:
        times = exponent.value.numerator
        bits = max(base.value.numerator.bit_length(), base.value.denominator.bit_length())
        if bits * abs(times) > LARGEST and abs(base.value) != 1:
            raise Problem("the value is too large")
        return Number(base.value**times, is_exact)
    if base.value < 0:
        raise Problem("a root of a negative number is not real")
    if exponent.value == Fraction(1, 2) and (root := _root(base.value)) is not None:
        return Number(root, is_exact)
    return Number(Fraction(float(base.value) ** float(exponent.value)), is_exact=False)


def _root(value: Fraction) -> Fraction | None:
    """Return the square root of a fraction, if it is one."""
    above, below = math.isqrt(value.numerator), math.isqrt(value.denominator)
    return Fraction(above, below) if Fraction(above, below) ** 2 == value else None


def _integers(function: Callable[..., int]) -> Callable[..., int]:
    """Refuse what is no integer, and what would take long."""

    def checked(*values: Fraction) -> int:
        if any(value.denominator != 1 for value in values):
            raise Problem("this function takes integers")
        if function in (math.factorial, math.comb, math.perm) and max(values) > 1000:
            raise Problem("this function takes integers up to 1000")
        return function(*(value.numerator for value in values))

    return checked


def _round(value: Fraction, places: Fraction = Fraction(0)) -> Fraction:
    """Round half away from zero, as schools teach it."""
    if places.denominator != 1 or abs(places) > WRITTEN_OUT:
        raise Problem("round takes a small integer as its second argument")
    scale = Fraction(10) ** places.numerator
    return (
        Fraction(math.floor(abs(value) * scale + Fraction(1, 2))) / scale * (-1 if value < 0 else 1)
    )


CONSTANTS: Mapping[str, Number] = {
    "pi": Number(Fraction(math.pi), is_exact=False),
    "e": Number(Fraction(math.e), is_exact=False),
}
OPERATORS: Mapping[type[ast.operator], Callable[[Fraction, Fraction], Fraction | int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
EXACT: Mapping[str, Callable[..., Fraction | int]] = {
    "abs": abs,
    "min": min,
    "max": max,
    "sum": lambda *values: sum(values, Fraction(0)),
    "round": _round,
    "floor": math.floor,
    "ceil": math.ceil,
    "gcd": _integers(math.gcd),
    "lcm": _integers(math.lcm),
    "factorial": _integers(math.factorial),
    "comb": _integers(math.comb),
    "perm": _integers(math.perm),
}
APPROXIMATE: Mapping[str, Callable[..., float]] = {
    "sin": math.sin,
    "cos": math.cos,
    "tan": math.tan,
    "asin": math.asin,
    "acos": math.acos,
    "atan": math.atan,
    "exp": math.exp,
    "ln": math.log,
    "log": math.log10,
    "log2": math.log2,
    "radians": math.radians,
    "degrees": math.degrees,
}
