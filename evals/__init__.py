"""How good the parts that guess are: sets of examples, and scripts that print a table."""
