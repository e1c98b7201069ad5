"""Documents that answers are looked up in before a model is asked (docs/adr/0011)."""
