"""WeChat's way to say no: an errcode."""


class Refused(Exception):  # noqa: N818 - WeChat refuses, nothing is wrong here
    """WeChat's answer is an errcode; `why` is added to its text."""

    def __init__(self, errcode: int, why: str = "") -> None:
        super().__init__(errcode, why)
        self.errcode = errcode
        self.why = why

    def __str__(self) -> str:
        return f"errcode {self.errcode}{': ' if self.why else ''}{self.why}"
