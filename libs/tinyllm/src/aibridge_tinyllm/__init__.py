"""A tiny real language model (SmolLM2-135M) as one more vendor, for demonstrations without a key."""
