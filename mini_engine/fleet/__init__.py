"""Several engines behind one address: caches handed over, a router that knows prefixes, replicas that may die."""
