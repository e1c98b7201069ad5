"""A clock and a calculator for language models: tools that need no account and no network."""
