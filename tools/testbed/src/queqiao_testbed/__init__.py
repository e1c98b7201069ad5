"""The whole system as real processes, to be tested, broken and measured."""
