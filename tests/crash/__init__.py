"""Drills: drivers that are killed, disturbed, delayed or raced at every effect, and what is left of it."""
