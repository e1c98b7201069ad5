"""What Queqiao costs, measured beside the least that five hops can cost: `make bench`."""
