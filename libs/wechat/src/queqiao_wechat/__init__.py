"""The WeChat protocol: pure functions on values, and one API client (`client`)."""
