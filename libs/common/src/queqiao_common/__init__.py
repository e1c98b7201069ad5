"""What Queqiao's five services share, and nothing that only one of them needs."""
