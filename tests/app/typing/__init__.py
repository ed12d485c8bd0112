"""How type checkers see applications."""
