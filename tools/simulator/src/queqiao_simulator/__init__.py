"""The WeChat platform, played for people and tests who have no account."""
