"""Screens what users and models say, by one policy, and limits how fast a user may write."""
