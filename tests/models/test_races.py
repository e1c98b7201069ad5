"""Histories that once went wrong, step by step."""

import pytest
from queqiao_common.claims import claim_key
from queqiao_common.testing import ACCOUNT

from tests.models.test_promises import repeated, unanswered
from tests.models.world import World


@pytest.mark.parametrize(
    ("mode", "window", "claim"), [("auto", 6.0, "later"), ("passive", 16.0, "thinking")]
)
def test_an_offer_that_was_not_taken_in_time_is_withdrawn_before_another_way_is_gone(
    mode, window, claim
):
    """It is remembered for WeChat's next delivery: the user would read the answer twice."""
    world = World(mode=mode, policy="resend", quota=5, pieces=1)
    try:
        mark = world.write()
        world.go_on_until("publish offer:")
        world.kill("ingress-0")  # which held the request
        world.let("egress-0: publish offer:")
        world.kill("egress-0")
        world.pass_time(window)
        world.go_on_until("publish sent:", without="WeChat")

        world.let("WeChat delivers m1, time 2")
        world.rest()
        world.write()
        world.rest()

        assert world.claim(claim_key(ACCOUNT, "m1")).kind == claim
        assert not repeated(world.chats[0])
        assert mark not in unanswered(world, world.chats[0])
    finally:
        world.close()


def test_a_message_that_wechat_delivers_again_opens_no_newer_window_of_the_quota():
    """WeChat counts from when the user wrote it; ours from when a delivery of it was accepted."""
    world = World(mode="auto", policy="resend", quota=2, pieces=2)
    try:
        for _ in range(3):
            world.write()
        world.let("WeChat delivers m1, time 1")
        world.kill("ingress-0")  # before it published m1: its second delivery comes after m2 and m3
        world.rest()

        assert not world.platform.refusals
    finally:
        world.close()
