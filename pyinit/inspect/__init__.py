"""What runs in place of a child: ``--inspect``."""
