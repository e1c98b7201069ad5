"""The same target under atheris, which follows the code to find inputs that go new ways.

`python -m tests.fuzz.guided CORPUS -max_total_time=600`: the options are libFuzzer's. It ends at
the first request that fails.
"""

import importlib
import sys

atheris = importlib.import_module("atheris")  # no dependency of anything else, and without types

with atheris.instrument_imports(include=["queqiao_wechat", "queqiao_ingress"]):
    from tests.fuzz.target import ALLOWED, Target

target = Target()


def throw(data: bytes) -> None:
    """Throw one input.

    Raises:
        AssertionError: it is answered with a status that no input may have.
    """
    thrown = target.throw(data)
    if thrown.status not in ALLOWED:
        raise AssertionError(thrown)


if __name__ == "__main__":
    atheris.Setup(sys.argv, throw)
    atheris.Fuzz()
