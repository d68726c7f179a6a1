"""What outlives one request: models, rules, prefixes, seals, the log of the truth."""
