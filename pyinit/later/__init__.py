"""What runs beside the child: each import stands behind a guard, since the package may be gone."""
