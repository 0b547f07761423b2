"""The pieces used when nothing else is plugged in; all of them work offline."""
