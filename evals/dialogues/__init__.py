"""Scripted dialogues of the four scenarios, through the whole pipeline, before any model."""
