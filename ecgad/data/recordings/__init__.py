"""Recordings of PhysioNet's databases."""
