"""Ingress is the only public door: `python -m queqiao_ingress`."""

import time

from queqiao_common.claims import Claim, Tries
from queqiao_common.displays import Display
from queqiao_common.kv import JetStreamDocuments
from queqiao_common.pages import Page
from queqiao_common.runtime import Runtime, run
from queqiao_common.topology import CLAIMS, DISPLAYS, OFFERS, PAGES, PEOPLE

from queqiao_ingress.app import Entrance
from queqiao_ingress.doors import open_doors
from queqiao_ingress.pages import AnswerPages
from queqiao_ingress.people import People
from queqiao_ingress.readers import Readers
from queqiao_ingress.service import Ingress
from queqiao_ingress.streams import Streams
from queqiao_ingress.waiting import REMEMBERED, WaitingRoom


async def main(runtime: Runtime) -> None:
    """Wire the service and work until told to stop."""
    config = runtime.config
    people = People(now_ms=runtime.now_ms)
    ingress = Ingress(
        config,
        publisher=runtime.bus,
        claims=runtime.bucket(CLAIMS, Claim),
        tries=runtime.bucket(CLAIMS, Tries),
        streams=Streams(runtime.bucket(DISPLAYS, Display), now_ms=runtime.now_ms),
        room=WaitingRoom(seats=config.ingress.max_waiting, now=time.monotonic),
        people=people,
    )
    entrance = Entrance(
        doors=open_doors(config),
        ingress=ingress,
        settings=config.ingress,
        now_ms=runtime.now_ms,
        clock=time.monotonic,
    )
    entrance.open(runtime.app)
    runtime.serves = entrance.before(runtime.app)
    open_pages(runtime)
    runtime.follow(OFFERS, ingress.hear, since=REMEMBERED)
    runtime.follow_bucket(PEOPLE, people.hear, since=config.handover.timeout)
    await runtime.run(linger=config.ingress.linger)


def open_pages(runtime: Runtime) -> None:
    """Serve the pages of long answers, if there are any, and hear what becomes of them."""
    settings = runtime.config.pages
    if not settings.base_url:
        return
    readers = Readers(limit=settings.max_streams, stopping=runtime.stopping)
    # They are only read here: to remember them for a later write would cost memory.
    documents = JetStreamDocuments(runtime.bus, PAGES, Page, remember=0)
    pages = AnswerPages(settings, pages=documents, readers=readers, now_ms=runtime.now_ms)
    pages.open(runtime.app)
    runtime.follow_bucket(PAGES, readers.hear, since=0.0)


if __name__ == "__main__":
    run("ingress", main)
