"""Notices that reference data changed; the receiver reads it again, the notice carries none of it."""

PRICES_CHANGED_SUBJECT = "billing.v1.prices"
CATALOG_CHANGED_SUBJECT = "router.v1.catalog"
