"""What operators see of look-ups."""

from prometheus_client import Counter, Gauge, Histogram

CHUNKS = Gauge("queqiao_knowledge_chunks", "Chunks that this replica searches.")
LOOKUPS = Counter(
    "queqiao_knowledge_lookups_total",
    "Turns by what was found: passages, nothing, small_talk; or that the search failed.",
    ["result"],
)
SECONDS = Histogram(
    "queqiao_knowledge_seconds",
    "Time of a search.",
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 3),
)
