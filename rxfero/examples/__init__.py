"""The examples: small services, each started as two commands."""
