"""What operators see of the models."""

from prometheus_client import Counter, Gauge, Histogram
from queqiao_common.breaker import Breaker

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
    "queqiao_model_tokens_total",
    "Tokens, as the model counts them, else estimated.",
    ["model", "kind"],
)
FAILURES = Counter("queqiao_model_failures_total", "Runs that failed.", ["model", "reason"])
LIMITED = Counter(
    "queqiao_model_limited_total", "Runs that found the limits of a model used up.", ["model"]
)
HEDGES = Counter(
    "queqiao_model_hedges_total",
    "Races with a second model, by who spoke first: first, second, neither.",
    ["model", "winner"],
)
PASSED_OVER = Counter(
    "queqiao_model_passed_over_total",
    "Turns that a model lost to a faster one, as it would have been late.",
    ["model"],
)
COST = Counter(
    "queqiao_model_cost_total", "Cost by the configured prices, in their currency.", ["model"]
)
REFUSALS = Counter(
    "queqiao_budget_refusals_total", "Turns that a budget refused, by what was used up.", ["reason"]
)
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
TOOL_CALLS = Counter(
    "queqiao_tool_calls_total",
    "Calls of tools: ok, failed, timeout, unreachable, unknown, malformed, refused.",
    ["tool", "outcome"],
)
TOOL_SECONDS = Histogram(
    "queqiao_tool_seconds", "Time of a call that was carried out.", ["tool"], buckets=SECONDS
)
SPEECH = Counter(
    "queqiao_speech_total",
    "Voice heard (ok, or its trouble) and pieces spoken (ok, failed).",
    ["direction", "outcome"],
)
TOOL_SERVERS = Gauge("queqiao_tool_server_up", "1 while its session is open.", ["server"])


def show_circuit(model: str, breaker: Breaker) -> None:
    """Publish the state of a model's circuit."""
    for state in STATES:
        CIRCUIT.labels(model, state).set(state == breaker.state)
