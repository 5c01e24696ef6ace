"""What runs before the child does, where an option or a surrounding asks for it."""
