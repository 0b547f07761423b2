"""How values look in a notebook (HTML) and in a terminal (rich)."""
