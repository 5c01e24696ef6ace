"""Programs that are working when `docker stop` comes, and what happens to their work."""
