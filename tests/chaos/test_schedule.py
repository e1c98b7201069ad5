"""A seeded schedule of faults under load: what users see is judged, and nothing else."""

from pathlib import Path

import pytest
from queqiao_common.settings import environment
from queqiao_testbed.chaos import decided, run_chaos
from queqiao_testbed.report import table
from queqiao_testbed.schedule import draw

PAGE = Path(__file__).parents[2] / "docs" / "chaos.md"
TITLES = {
    "resend": "What WeChat said nothing to is said again (the default)",
    "drop": 'What WeChat said nothing to counts as shown (`unanswered = "drop"`)',
}
HEAD = """\
# Chaos

Written by `make chaos LONG=1 WRITE=1`: the whole system under load, hurt by a schedule that is
drawn from a seed, and judged by what its users saw. `QUEQIAO_CHAOS_SEED` repeats a schedule (not
its exact interleaving: processes are real).

A run **fails** when a question is lost, an answer torn, doubled beyond what egress counted as
ambiguous, out of order or another user's; when more than a tenth of the questions are only
apologised for, or one that was asked when all was well again; when egress is in doubt, or a process
ends, without a fault that may cause it (a planned restart causes neither); when something is left
to be done, a replica does not come back, a readable event is buried, an unreadable one is not, or a
log holds an error that nobody foresaw. Egress may be in doubt of a call whose very process was
killed in the middle of it, and where WeChat's answer was lost; a pause, a cut, a broker that dies
leave none (ADR 0020). The long form is run twice: for what WeChat said nothing to, nobody can
know whether it was shown, and a user may rather read it twice than not at all, or rather not twice
(`[delivery] unanswered`, ADR 0019). It is **repeated**, once, when the test bed itself could not
do its part. How long it took, and the longest wait for an answer, are **shown** only: where WeChat
says that an account's calls of a minute are used (45011), nothing more is sent before the next
minute, and users who go on writing are asked for patience. CI runs the short form (each kind once)
and the tests of clusters, full disks and wrong clocks.

The rules are code: `tools/testbed`, `verdict.py` (a run) and `audit.py` (one user's chat). What is
not done: the broker's own clock is left alone, as `nats-server` is linked statically and asks the
kernel, so no library can stand between; services go by its clock, whatever it says.

"""

pytestmark = pytest.mark.chaos


async def test_users_see_no_loss_no_stranger_and_no_disorder(
    form, seed, unanswered, one_broker, tmp_path
):
    schedule = draw(form.kinds, seed=seed, count=form.faults, seconds=form.seconds)

    async def run(folder):
        with one_broker(folder) as broker:
            return await run_chaos(folder, broker, form, schedule, seed=seed, unanswered=unanswered)

    report = await decided(tmp_path, run)

    text = table(report, form, seed=seed)
    print(f"\n{text}\n\ntook {report.took:.0f} s; logs are in {tmp_path}")
    print(*report.findings.evidence, sep="\n")
    if environment("QUEQIAO_CHAOS_WRITE") == "1" and not report.inconclusive:
        write(unanswered, text)
    assert not report.inconclusive, f"the test bed failed twice: {report.inconclusive}"
    assert not report.problems, f"QUEQIAO_CHAOS_SEED={seed}: {report.problems}"
    if unanswered == "drop":
        assert report.findings.doubted == report.findings.orphaned, (
            "doubled, though none was killed"
        )


def write(unanswered, text):
    """Put a run's table in the place of the one before, and leave the others."""
    _, *found = PAGE.read_text(encoding="utf-8").split("\n## ") if PAGE.exists() else ("",)
    sections = dict(one.split("\n", 1) for one in found)
    sections[TITLES[unanswered]] = f"\n{text}\n"
    told = "".join(f"\n## {t}\n{sections[t]}" for t in TITLES.values() if t in sections)
    PAGE.write_text(HEAD.rstrip() + "\n" + told, encoding="utf-8")
