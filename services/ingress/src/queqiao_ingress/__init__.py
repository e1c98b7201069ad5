"""The ingress service: the only public door."""
