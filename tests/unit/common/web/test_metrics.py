"""Numbers as Prometheus reads them."""

from prometheus_client.parser import text_string_to_metric_families

from aibridge_common.web.metrics import Measured, exposition


def test_a_scraper_reads_what_was_measured() -> None:
    told = exposition(
        [
            Measured("aibridge_lag_seconds", "How far behind", 1.5),
            Measured("aibridge_duplicates", "Came twice", 3, "counter"),
        ]
    ).decode()
    read = {family.name: family for family in text_string_to_metric_families(told)}

    assert read["aibridge_lag_seconds"].type == "gauge"
    assert [each.value for each in read["aibridge_lag_seconds"].samples] == [1.5]
    assert [(each.name, each.value) for each in read["aibridge_duplicates"].samples] == [
        ("aibridge_duplicates_total", 3)
    ]
