"""The names of the months in Hebrew and English: full, spelled in two ways, and short."""

from __future__ import annotations

from typing import Final

_NAMES: Final = (
    "january jan ינואר ינו'", "february feb פברואר פבר'", "march mar מרץ מרס מארס",
    "april apr אפריל אפר'", "may מאי", "june jun יוני", "july jul יולי", "august aug אוגוסט אוג'",
    "september sept sep ספטמבר ספט'", "october oct אוקטובר אוק'", "november nov נובמבר נוב'",
    "december dec דצמבר דצמ'",
)  # fmt: skip
MONTHS: Final = {name: n for n, names in enumerate(_NAMES, 1) for name in names.split()}
"""Each name with the month's number, 1 to 12."""
ENGLISH_MONTHS: Final = tuple(names.split()[0] for names in _NAMES)
HEBREW_MONTHS: Final = tuple(
    name for name in MONTHS if "א" <= name[0] <= "ת" and not name.endswith("'")
)
"""The full names."""
