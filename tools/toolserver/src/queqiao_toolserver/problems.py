"""What a tool cannot do, in words that a model can act on."""


class Problem(ValueError):  # noqa: N818 - named for what is the case
    """The request cannot be fulfilled; the text says why, for the model to read."""
