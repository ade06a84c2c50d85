"""Which medications a text names."""

from __future__ import annotations

from runtime.clinical.medications import find_medications


def test_a_medication_has_one_name_for_all_its_brands_in_either_script() -> None:
    assert find_medications("He takes lithium but no Zoloft.") == {"lithium", "sertraline"}
    assert find_medications("לוקח ציפרלקס") == find_medications("20 mg of escitalopram")


def test_a_text_without_a_medication_names_none() -> None:
    assert find_medications("She sleeps well.") == frozenset()
