"""What runs instead of a child: ``--inspect``."""
