"""Receipts: what a charge was made of, and how anyone can check it."""
