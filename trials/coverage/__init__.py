"""Which lines and branches no test goes through."""
