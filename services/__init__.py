"""One package for each service; none imports another."""
