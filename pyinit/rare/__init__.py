"""What may run before the child does, but hardly ever: an option or a surrounding asks for it."""
