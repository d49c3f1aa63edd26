"""The core: what a node decides, without sockets, clocks or tasks."""
