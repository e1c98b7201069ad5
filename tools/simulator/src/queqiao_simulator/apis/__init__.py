"""The platform's API, a module per subject; `queqiao_simulator.api` serves them all."""
