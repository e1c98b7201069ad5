"""Noticing that WeChat's API is down: a mode of the service, entered and left by what calls say."""

import logging
from collections import Counter

log = logging.getLogger(__name__)


class Outages:
    """Counts the failures in a row of each account's calls, in this replica.

    After so many of them the API counts as down for the account, until the first success.
    """

    def __init__(self, *, after: int) -> None:
        self._after = after
        self._failures: Counter[str] = Counter()

    def is_down(self, account: str) -> bool:
        """Whether the account's calls fail, one after the other."""
        return self._failures[account] >= self._after

    def failed(self, account: str) -> None:
        """Note a call that WeChat did not answer, or answered that it is busy."""
        self._failures[account] += 1
        if self._failures[account] == self._after:
            log.warning("wechat.down", extra={"account": account, "failures": self._after})

    def succeeded(self, account: str) -> None:
        """Note a call that WeChat answered, with whatever."""
        if self.is_down(account):
            log.info("wechat.up", extra={"account": account})
        self._failures.pop(account, None)
