"""Discovery: where to look for the servers of a service."""
