"""How well the answer cache knows a question again, and whether it ever gives a wrong answer."""
