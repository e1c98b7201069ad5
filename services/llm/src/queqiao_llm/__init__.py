"""Turns one turn of a conversation into the pieces of an answer, whichever model can write it."""
