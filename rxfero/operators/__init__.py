"""The operators: what rxfero adds to RxPY's, one verb a module."""
