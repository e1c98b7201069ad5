"""Tools that models may call: those of MCP servers, and two of our own."""
