"""One adapter for each protocol that models speak."""
