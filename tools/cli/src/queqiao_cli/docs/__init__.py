"""The documents that are generated from the code: events, AsyncAPI, settings, decisions."""
