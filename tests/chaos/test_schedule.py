"""A seeded schedule of faults under load: what users see is judged, and nothing else."""

from pathlib import Path

import pytest
from queqiao_common.settings import environment
from queqiao_testbed.chaos import run_chaos
from queqiao_testbed.report import table

ROOT = Path(__file__).parents[2]
HEAD = """\
# Chaos

Written by `make chaos LONG=1 WRITE=1`: the whole system under load, hurt by a schedule that is
drawn from a seed, and judged by what its users saw. `QUEQIAO_CHAOS_SEED` repeats a schedule (not
its exact interleaving: processes are real). How a run is judged is in `tools/testbed`, `audit.py`.

"""

pytestmark = pytest.mark.chaos


async def test_users_see_no_loss_no_stranger_and_no_disorder(form, seed, chaos_broker, tmp_path):
    report = await run_chaos(tmp_path, chaos_broker, form, seed=seed)

    print(f"\n{table(report)}\n\ntook {report.took:.0f} s; logs are in {tmp_path}")
    if environment("QUEQIAO_CHAOS_WRITE") == "1":
        (ROOT / "docs" / "chaos.md").write_text(HEAD + table(report) + "\n", encoding="utf-8")
    assert not report.problems, f"QUEQIAO_CHAOS_SEED={seed}: {report.problems}"
