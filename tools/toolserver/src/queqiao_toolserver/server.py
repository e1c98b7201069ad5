"""The tools, as the Model Context Protocol shows them to a model."""

from collections.abc import Callable
from datetime import UTC, date, datetime

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError

from queqiao_toolserver import calculator, clock, units
from queqiao_toolserver.problems import Problem

INSTRUCTIONS = "The present time, dates, exact arithmetic and units of measure."


def present() -> datetime:
    """Return the wall clock."""
    return datetime.now(UTC)


def create(now: Callable[[], datetime] = present) -> MCPServer:
    """Create the server; `now` is aware."""
    server = MCPServer("queqiao", instructions=INSTRUCTIONS)

    @server.tool(name="now")
    def tell_time(timezone: str = "Asia/Shanghai") -> str:
        """现在的日期、时间和星期几。timezone 是时区名，如 Asia/Shanghai、America/New_York。"""
        return _answered(lambda: clock.told(now(), timezone))

    @server.tool(name="shift_date")
    def shift_date(
        date: str = "today", years: int = 0, months: int = 0, weeks: int = 0, days: int = 0
    ) -> str:
        """某个日期之前或之后是哪一天、星期几。date 写作 2026-03-01 或 today；往前推用负数。"""
        return _answered(
            lambda: clock.shifted(
                date, years=years, months=months, weeks=weeks, days=days, today=_today(now())
            )
        )

    @server.tool(name="days_between")
    def days_between(first: str, second: str) -> str:
        """两个日期之间相差多少天。日期写作 2026-03-01 或 today。"""
        return _answered(lambda: clock.between(first, second, today=_today(now())))

    @server.tool(name="calculate")
    def calculate(expression: str) -> str:
        """精确计算算式，如 (3+4)*12.5、2**10、15%*80、sqrt(2)、round(10/3, 2)。凡是算术都用它。"""
        return _answered(lambda: calculator.calculate(expression))

    @server.tool(name="convert_unit")
    def convert_unit(value: float, source: str, target: str) -> str:
        """单位换算：长度、重量、面积、体积、时间、速度、温度、存储，例如 3 斤 → kg、100 F → C。"""
        return _answered(lambda: units.convert(value, source.strip(), target.strip()))

    return server


def _today(now: datetime) -> date:
    return now.astimezone(clock.zone_of("")).date()


def _answered(answer: Callable[[], str]) -> str:
    """Tell a model what was wrong with its request, so that it can make a better one."""
    try:
        return answer()
    except Problem as problem:
        raise ToolError(str(problem)) from None
