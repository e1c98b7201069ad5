"""A stand-in for a map provider's MCP server: always the same weather, so that rules can judge.

`python -m evals.dialogues.places` speaks MCP over stdio, with the names that AMap's tools have.
"""

from mcp.server import MCPServer

server = MCPServer("places")
KNOWN = "上海"
NOT_FOUND = "没有查到这个城市的数据"


@server.tool()
def maps_weather(city: str) -> str:
    """根据城市名称查询天气预报。"""
    if KNOWN not in city:
        return NOT_FOUND
    return "上海：今天多云 17-23℃；明天小雨 18-22℃，东风 3 级；后天阴 19-24℃"


@server.tool()
def maps_around_search(keywords: str, location: str = "", radius: str = "") -> str:
    """搜索周边的地点，例如餐馆、药店。"""
    del radius
    if "药" in keywords:
        return f"{location}附近：康民药房（230 米，24 小时营业）"
    return (
        "老城厢本帮菜（450 米，人均 95 元，红烧肉、响油鳝糊）；弄堂小馆（620 米，人均 70 元，"
        "葱油拌面、糖醋小排）；川味火锅（300 米，人均 110 元，重辣）"
    )


@server.tool()
def maps_text_search(keywords: str, city: str = "") -> str:
    """按关键词搜索地点。"""
    if city and KNOWN not in city:
        return NOT_FOUND
    return maps_around_search(keywords, city)


@server.tool()
def maps_direction_transit_integrated(origin: str, destination: str, city: str = "") -> str:
    """规划公共交通路线。"""
    return (
        f"{origin} 到 {destination}：{city}地铁 2 号线到南京东路站，步行 600 米，共 45 分钟，4 元"
    )


@server.tool()
def maps_direction_driving(origin: str, destination: str) -> str:
    """规划驾车路线。"""
    return f"{origin} 到 {destination}：延安高架，18 公里，约 40 分钟，打车约 65 元，晚高峰拥堵"


if __name__ == "__main__":
    server.run()
