"""The `queqiao` command: the only code that may know several services."""
