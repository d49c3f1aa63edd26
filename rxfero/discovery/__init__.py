"""Discovery: where other nodes may be. One way to find them a module; all give addresses only."""
