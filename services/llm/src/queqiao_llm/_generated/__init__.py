"""Written by proto/generate.py: never by hand."""
