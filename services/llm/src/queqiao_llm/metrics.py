"""What operators see of the models."""

from prometheus_client import Counter, Gauge, Histogram

from queqiao_llm.breaker import Breaker

STATES = ("closed", "open", "half_open")
SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 8, 13, 20, 30, 60, 120)

ANSWERED = Histogram(
    "queqiao_model_seconds", "Time to a complete answer, by model.", ["model"], buckets=SECONDS
)
FIRST_TEXT = Histogram(
    "queqiao_model_first_text_seconds",
    "Time to the first text, by model.",
    ["model"],
    buckets=SECONDS,
)
TOKENS = Counter(
    "queqiao_model_tokens_total", "Tokens, as the model counts them.", ["model", "kind"]
)
FAILURES = Counter("queqiao_model_failures_total", "Runs that failed.", ["model", "reason"])
UNANSWERED = Counter("queqiao_unanswered_total", "Turns no model answered.", ["route"])
CIRCUIT = Gauge(
    "queqiao_model_circuit", "1 for the state of a model's circuit.", ["model", "state"]
)
LOOKUPS = Counter(
    "queqiao_cache_lookups_total",
    "Turns by what the answer cache did: exact, near, menu, chosen, shared, miss, unfit, degraded;"
    " and answers found expired: stale.",
    ["result"],
)
WAITS = Counter(
    "queqiao_cache_waits_total",
    "Turns that waited for the same question of another, by how it ended.",
    ["outcome"],
)
ANSWERS = Gauge("queqiao_cache_answers", "Answers in memory that are not pinned.")


def show_circuit(model: str, breaker: Breaker) -> None:
    """Publish the state of a model's circuit."""
    for state in STATES:
        CIRCUIT.labels(model, state).set(state == breaker.state)
