"""When a question is about the latest sessions alone, and about how many."""

from __future__ import annotations

import pytest

from runtime.narrowing.latest import count_latest


@pytest.mark.parametrize(
    ("question", "count"),
    [
        ("What did we do in the last session?", 1),
        ("What was Maya's plan at her last visit?", 1),
        ("What did Maya say in the most recent session?", 1),
        ("What did we do in the previous session?", 1),
        ("Summarise Maya's last three sessions", 3),
        ("Summarize the last 3 sessions with Maya", 3),
        ("מה היה בפגישה האחרונה?", 1),
        ("מה סוכם בפגישה האחרונה עם מאיה?", 1),
        ("מה עלה בפגישה של מאיה לוי האחרונה?", 1),
        ("מה נאמר בפגישתה האחרונה?", 1),
        ("מה היה בטיפול הקודם?", 1),
        ("מה עשינו בשלוש הפגישות האחרונות?", 3),
        ("מה נאמר ב-3 הפגישות האחרונות?", 3),
        ("Summarise the last 500 sessions", 20),
        ("Since the last session, how is she?", 0),
        ("What changed from the last session?", 0),
        ("How is she compared to the last session?", 0),
        ("What was said before the last session?", 0),
        ("When was her last visit to the dentist?", 0),
        ("What came of the last appointment with the surgeon?", 0),
        ("When did she last visit?", 0),
        ("What did we do in the last few sessions?", 0),
        ("How does the last session differ from others?", 0),
        ("What is his last name?", 0),
        ("מה השתנה מאז הפגישה האחרונה?", 0),
        ("מה השתנה מהפגישה האחרונה?", 0),
        ("האם הוטב לו לעומת הפגישה הקודמת?", 0),
        ("מה היה בביקור האחרון אצל הקרדיולוג?", 0),
        ("מה נאמר בפגישה?", 0),
    ],
)
def test_the_latest_sessions_are_counted_where_they_alone_are_meant(
    question: str, count: int
) -> None:
    assert count_latest(question) == count
