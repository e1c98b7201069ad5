"""Models for a machine without a model: a small real one, and a scriptable fake one."""
