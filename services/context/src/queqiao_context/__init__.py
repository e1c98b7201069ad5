"""The context service: owns the conversation and is the only writer of it."""
