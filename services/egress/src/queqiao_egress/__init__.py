"""Egress: delivers replies to WeChat, and is the only service with the AppSecret."""
