"""Taking a reasoning model's thoughts out of its answer. Pure."""

OPEN = "<think>"
CLOSE = "</think>"


class ThoughtFilter:
    """Lets everything through but `<think>...</think>`, whose tags may come in several chunks."""

    def __init__(self) -> None:
        self._held = ""
        self._thinking = False

    def feed(self, text: str) -> str:
        """Return what may be shown of this chunk and of what was held back before."""
        text = self._held + text
        shown = ""
        while True:
            tag = CLOSE if self._thinking else OPEN
            before, found, after = text.partition(tag)
            if not found:
                break
            shown += "" if self._thinking else before
            self._thinking = not self._thinking
            text = after
        keep = _beginning_at_end(text, tag)
        self._held = text[len(text) - keep :]
        return shown if self._thinking else shown + text[: len(text) - keep]

    def finish(self) -> str:
        """Return what was held back in case it was the beginning of a tag."""
        held, self._held = self._held, ""
        return "" if self._thinking else held


def without_thoughts(text: str) -> str:
    """Return what may be shown of a whole text."""
    thoughts = ThoughtFilter()
    return thoughts.feed(text) + thoughts.finish()


def _beginning_at_end(text: str, tag: str) -> int:
    """Return how many characters at the end of the text may begin the tag."""
    longest = min(len(tag) - 1, len(text))
    return next((size for size in range(longest, 0, -1) if text.endswith(tag[:size])), 0)
