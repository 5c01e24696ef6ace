"""Programs that have work in hand when `docker stop` comes, and what becomes of it."""
