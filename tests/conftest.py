"""A line in the report's head says which brokers stand behind the tests."""

from queqiao_testbed import brokers


def pytest_report_header() -> str:
    """Say what the suite runs against: a reader must not have to guess."""
    return brokers.describe()
