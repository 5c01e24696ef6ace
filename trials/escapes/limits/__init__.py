"""What keeps a limit and takes a few lines of Python."""
