"""The commands of `rxfero`: what needs the extra ``cli``; :mod:`rxfero.cli` is their door."""
